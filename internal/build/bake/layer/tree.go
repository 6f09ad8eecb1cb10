package layer

import (
	"archive/tar"
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"naru/internal/fault"
)

// Tree is what the layers so far hold: enough to follow links between folders,
// to notice two packages with the same file, and to answer what exists.
type Tree struct {
	nodes    map[string]*node
	kept     map[string][]byte
	replaces map[string]map[string]bool // source -> the sources whose files it takes over
}

type node struct {
	kind  byte // tar.TypeReg, TypeDir or TypeSymlink
	link  string
	owner string
	made  *File // how it was generated, to recognise the same again
}

// NewTree is an image with nothing in it.
func NewTree() *Tree {
	return &Tree{nodes: map[string]*node{}, kept: map[string][]byte{}, replaces: map[string]map[string]bool{}}
}

// Has says whether a path exists, links in it followed, a link at its end not.
func (t *Tree) Has(name string) bool {
	p, ok := t.resolve(name)
	return ok && (p == "" || t.nodes[p] != nil)
}

// Foreign says whether a path exists and a package brought it, rather than we.
func (t *Tree) Foreign(name string) bool {
	p, ok := t.resolve(name)
	n := t.nodes[p]
	return ok && n != nil && n.made == nil
}

// Kept is the content of a remembered file, links on the way to it followed.
func (t *Tree) Kept(name string) ([]byte, bool) {
	p, ok := t.resolve(name)
	b, found := t.kept[p]
	return b, ok && found
}

// KeptBelow yields the paths of remembered files under a folder, sorted.
func (t *Tree) KeptBelow(dir string) []string {
	var all []string
	for name := range t.kept {
		if strings.HasPrefix(name, dir+"/") {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// Match lists the existing paths that fit a pattern of path.Match, sorted.
func (t *Tree) Match(pattern string) []string {
	var all []string
	for name := range maps.Keys(t.nodes) {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func (t *Tree) claim(source string, replaces map[string]bool) { t.replaces[source] = replaces }

func (t *Tree) keep(name string, body []byte) { t.kept[name] = body }

// maxLinks is how many links are followed in one path, as in Linux.
const maxLinks = 40

// resolve follows links in all but the last part of a path; a link out of the
// root ends at the root. It fails on links that lead round in circles.
func (t *Tree) resolve(name string) (string, bool) {
	parts := strings.Split(name, "/")
	at, links := "", 0
	for i := 0; i < len(parts); i++ {
		switch parts[i] {
		case "", ".":
			continue
		case "..":
			at = parent(at)
			continue
		}
		next := join(at, parts[i])
		n := t.nodes[next]
		if n == nil || n.kind != tar.TypeSymlink || i == len(parts)-1 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", false
		}
		if strings.HasPrefix(n.link, "/") {
			at = ""
		}
		parts = append(strings.Split(n.link, "/"), parts[i+1:]...)
		i = -1
	}
	return at, true
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

func join(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

// place decides about one entry of a package, as dpkg would when it unpacks
// over what is there. It returns where and how it is to be written, if at all.
func (t *Tree) place(f File, owner string) (File, bool, error) {
	p, ok := t.resolve(f.Path)
	if !ok {
		return f, false, fault.New(fault.Invalid, "", "%s lies behind links that lead in a circle", f.Path)
	}
	f.Path = p
	f.Mode &= 0o1777 // instances run with no_new_privs, so setuid and setgid bits could only mislead
	kind := f.Type
	switch f.Type {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink:
	case tar.TypeLink:
		target, ok := t.resolve(f.Link)
		if n := t.nodes[target]; !ok || n == nil || n.kind != tar.TypeReg {
			return f, false, fault.New(fault.Invalid, "", "%s is a hard link to %s, which the package did not bring before it", f.Path, f.Link)
		}
		f.Link, kind = target, tar.TypeReg
	default:
		return f, false, fault.New(fault.Invalid, "", "%s is of type %q; only files, folders and links may be in a package", f.Path, f.Type)
	}
	if p == "" {
		return f, false, nil
	}
	old := t.nodes[p]
	switch {
	case old == nil:
	case kind == tar.TypeDir && old.kind != tar.TypeReg:
		return f, false, nil // there already, as a folder or as a link to one
	case old.kind == tar.TypeDir && kind == tar.TypeSymlink:
		return f, false, nil // dpkg never turns a folder into a link
	case old.kind == kind && kind == tar.TypeSymlink && old.link == f.Link:
		return f, false, nil // the same link twice harms nobody
	case t.replaces[old.owner][owner]:
		return f, false, nil
	case old.made != nil || t.replaces[owner][old.owner]:
		// this one's now
	default:
		return f, false, fault.New(fault.Conflict, "packages", "%s is in the packages %s and %s", p, old.owner, owner).
			WithTry("leave one of the two out")
	}
	t.nodes[p] = &node{kind: kind, link: f.Link, owner: owner}
	return f, true, nil
}

// missingParents lists the folders above a path that nobody brought, outermost
// first, and records them.
func (t *Tree) missingParents(name string) []string {
	var missing []string
	for dir := parent(name); dir != "" && t.nodes[dir] == nil; dir = parent(dir) {
		missing = append(missing, dir)
		t.nodes[dir] = &node{kind: tar.TypeDir}
	}
	slices.Reverse(missing)
	return missing
}

// put records a generated file; it is not to be written when the very same was
// generated before, for a layer below, or when a folder is there already.
func (t *Tree) put(f File) (File, bool) {
	if p, ok := t.resolve(f.Path); ok {
		f.Path = p
	}
	old := t.nodes[f.Path]
	if old != nil {
		if f.Type == tar.TypeDir && old.kind != tar.TypeReg && (old.made == nil || sameFile(*old.made, f)) {
			return f, false
		}
		if old.made != nil && sameFile(*old.made, f) {
			return f, false
		}
	}
	t.nodes[f.Path] = &node{kind: f.Type, link: f.Link, owner: "naru", made: &f}
	return f, true
}

func sameFile(a, b File) bool {
	return a.Path == b.Path && a.Type == b.Type && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.Link == b.Link && bytes.Equal(a.Body, b.Body)
}
