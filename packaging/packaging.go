// Package packaging has the files that turn naru's programs into something a
// machine installs: systemd units and what a Debian package says about itself.
package packaging

import "embed"

// Files are systemd/ (units) and debian/ (accounts, folders, scripts).
//
//go:embed systemd debian
var Files embed.FS
