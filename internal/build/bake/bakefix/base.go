package bakefix

import (
	"archive/tar"
	"time"
)

// Plain is a package of a few files with a readable licence.
func Plain(name string, files ...File) Package {
	files = append(files, File{Name: "./usr/share/doc/" + name + "/copyright", Mode: 0o644,
		Body: "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n"})
	return Package{
		Control: "Package: " + name + "\nVersion: 1-1\nArchitecture: amd64\nDescription: " + name + "\n",
		Date:    time.Unix(1_740_000_000, 0), Files: files, Compression: ".gz",
	}
}

// Base makes nearly empty packages of these names; those that every image takes
// something from have that.
func Base(names []string) []Package {
	var all []Package
	for _, name := range names {
		var files []File
		switch name {
		case "base-passwd":
			files = []File{
				{Name: "./usr/share/base-passwd/passwd.master", Mode: 0o644, Body: "root:*:0:0:root:/root:/bin/bash\n"},
				{Name: "./usr/share/base-passwd/group.master", Mode: 0o644, Body: "root:*:0:\n"}}
		case "base-files":
			files = []File{{Name: "./bin", Type: tar.TypeSymlink, Link: "usr/bin"}, {Name: "./etc/debian_version", Mode: 0o644, Body: "13\n"},
				{Name: "./var/run/", Type: tar.TypeDir, Mode: 0o755}, {Name: "./usr/share/base-files/profile", Mode: 0o644, Body: "# profile\n"}}
		case "bash":
			files = []File{{Name: "./bin/bash", Mode: 0o755, Body: "elf"}}
		}
		all = append(all, Plain(name, files...))
	}
	return all
}
