// Package deb reads Debian's formats: versions, relations between packages,
// control stanzas, and the .deb archive itself. It knows no mirror and no image.
package deb
