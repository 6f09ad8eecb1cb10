// Package settle does, in plain sight, what maintainer scripts would have done
// when packages are installed and a server needs: users, certificates,
// alternatives and the like. It computes files from what was unpacked and runs
// nothing.
package settle

import (
	"fmt"
	"strings"
	"time"

	"naru/internal/build/bake/deb"
	"naru/internal/build/bake/layer"
)

// Input is what the steps look at.
type Input struct {
	Tree     *layer.Tree
	Packages []deb.Stanza // of everything unpacked so far, sorted by name
	Date     time.Time    // the newest package
}

// Step is one thing that maintainer scripts would have done.
type Step struct {
	Name    string
	Instead string // which package's script it stands for
	Do      func(Input) ([]layer.File, error)
}

// Steps lists every step, in the order they run.
func Steps() []Step {
	return []Step{
		{"base folders", "base-files", baseFolders},
		{"users and groups", "base-passwd", users},
		{"name service switch", "libc-bin", nameService},
		{"shells", "debianutils", shells},
		{"machine id", "systemd", machineID},
		{"time zone", "tzdata", timeZone},
		{"CA bundle", "ca-certificates", caBundle},
		{"CA hash links", "ca-certificates (openssl rehash)", caLinks},
		{"Java keystore", "ca-certificates-java", javaKeystore},
		{"alternatives", "update-alternatives in many", alternatives},
		{"Java alternatives", "openjdk-*", javaAlternatives},
		{"package database", "dpkg itself", packageDatabase},
	}
}

// Run returns the files of every step.
func Run(in Input) ([]layer.File, error) {
	var all []layer.File
	for _, s := range Steps() {
		files, err := s.Do(in)
		if err != nil {
			return nil, fmt.Errorf("settle %s: %w", s.Name, err)
		}
		all = append(all, files...)
	}
	return all, nil
}

// kept are the files whose content the steps, and the bill of materials, need.
var kept = []struct{ prefix, suffix string }{
	{"usr/share/base-passwd/", ".master"},
	{"usr/share/base-files/", ""},
	{"usr/share/libc-bin/", "nsswitch.conf"},
	{"usr/share/debianutils/shells", ""},
	{"usr/share/ca-certificates/", ".crt"},
	{"usr/share/doc/", "/copyright"},
}

// Keep says whether the content of a file is needed later.
func Keep(path string) bool {
	for _, k := range kept {
		if strings.HasPrefix(path, k.prefix) && strings.HasSuffix(path, k.suffix) {
			return true
		}
	}
	return false
}

// First are the links that must stand before anything is unpacked, with what
// they lead to: packages come in the order of their names, and base-files is
// not the first. The merged /usr, and the two that base-files' script replaces
// folders by.
func First(arch string) []layer.File {
	files := []layer.File{dir("usr", 0o755)}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if name == "lib64" && arch != "amd64" {
			continue
		}
		files = append(files, dir("usr/"+name, 0o755), link(name, "usr/"+name))
	}
	return append(files, dir("run", 0o755), dir("run/lock", 0o1777), dir("var", 0o755), link("var/run", "/run"), link("var/lock", "/run/lock"))
}

func dir(path string, mode int64) layer.File {
	return layer.File{Path: path, Type: '5', Mode: mode}
}

func link(path, target string) layer.File {
	return layer.File{Path: path, Type: '2', Mode: 0o777, Link: target}
}

func file(path string, mode int64, body []byte) layer.File {
	return layer.File{Path: path, Mode: mode, Body: body}
}
