package npm

import (
	"archive/tar"
	"path"
	"slices"
	"strings"

	"naru/internal/build/bake/layer"
)

// IsNode says whether the pin is Node itself.
func (p Pin) IsNode() bool { return strings.HasPrefix(p.Name, "node-linux-") }

// Place says where a file of the tarball goes: Node into /usr/local as its own
// archive would, anything else below npm's global folder.
func (p Pin) Place(name string) (string, bool) {
	_, rest, ok := strings.Cut(name, "/") // the first folder is "package", whatever it is called
	if !ok {
		return "", false
	}
	if !p.IsNode() {
		return "usr/local/lib/node_modules/" + p.Name + "/" + rest, true
	}
	switch top, _, _ := strings.Cut(rest, "/"); top {
	case "bin", "include":
		return "usr/local/" + rest, true
	case "LICENSE":
		return "usr/local/share/doc/node/LICENSE", true
	}
	return "", false
}

// Adjust gives files to root and makes commands executable: tarballs carry
// whatever their packer's machine had.
func (p Pin) Adjust(f *layer.File) {
	f.UID, f.GID = 0, 0
	switch {
	case f.Type == tar.TypeDir, f.Mode&0o111 != 0, p.isCommand(f.Path):
		f.Mode = 0o755
	default:
		f.Mode = 0o644
	}
}

func (p Pin) isCommand(at string) bool {
	for _, file := range p.Bin {
		if to, ok := p.Place("package/" + file); ok && to == at {
			return true
		}
	}
	return false
}

// Links are the commands in /usr/local/bin.
func (p Pin) Links() []layer.File {
	var files []layer.File
	for command, file := range p.Bin {
		to, ok := p.Place("package/" + file)
		at := "usr/local/bin/" + command
		if !ok || to == at {
			continue
		}
		files = append(files, layer.File{Path: at, Type: tar.TypeSymlink, Mode: 0o777, Link: "../" + strings.TrimPrefix(to, "usr/local/")})
	}
	slices.SortFunc(files, func(a, b layer.File) int { return strings.Compare(path.Base(a.Path), path.Base(b.Path)) })
	return files
}
