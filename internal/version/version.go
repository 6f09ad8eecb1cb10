// Package version says which naru this is.
package version

// Version is set by the linker; a plain go build leaves "dev".
var Version = "dev"
