package main

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is a file in an archive: of this name and mode, with the content of a
// file on disk or with text.
type entry struct {
	name string // without a leading slash
	mode int64
	from string
	text []byte
}

func (e entry) read() ([]byte, error) {
	if e.from == "" {
		return e.text, nil
	}
	return os.ReadFile(e.from)
}

// writeTar writes the entries sorted, with their folders, all owned by root and
// of one date, so that the same files give the same bytes. prefix stands before
// every name: "./" as dpkg wants it.
func writeTar(w io.Writer, prefix string, date time.Time, entries []entry) error {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	tw := tar.NewWriter(w)
	made := map[string]bool{".": true}
	var folders func(dir string) error
	folders = func(dir string) error {
		if made[dir] {
			return nil
		}
		if err := folders(path.Dir(dir)); err != nil {
			return err
		}
		made[dir] = true
		return tw.WriteHeader(&tar.Header{
			Typeflag: tar.TypeDir, Name: prefix + dir + "/", Mode: 0o755, ModTime: date,
			Uname: "root", Gname: "root", Format: tar.FormatGNU,
		})
	}
	for _, e := range entries {
		if err := folders(path.Dir(e.name)); err != nil {
			return err
		}
		content, err := e.read()
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: prefix + e.name, Mode: e.mode, Size: int64(len(content)), ModTime: date,
			Uname: "root", Gname: "root", Format: tar.FormatGNU,
		}); err != nil {
			return err
		}
		if _, err := tw.Write(content); err != nil {
			return err
		}
	}
	return tw.Close()
}

// writeTarGz is writeTar, compressed without a name or a date in its header.
func writeTarGz(w io.Writer, prefix string, date time.Time, entries []entry) error {
	zw, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := writeTar(zw, prefix, date, entries); err != nil {
		return err
	}
	return zw.Close()
}

// docs are the pages that go along, those that exist.
func (j job) docs(dir string) []entry {
	var all []entry
	for _, page := range []string{"LICENSE", "CHANGELOG.md", "docs/install.md", "docs/operating.md", "docs/reference/configuration.md"} {
		from := filepath.Join(j.root, filepath.FromSlash(page))
		if _, err := os.Stat(from); err == nil {
			all = append(all, entry{name: path.Join(dir, path.Base(page)), mode: 0o644, from: from})
		}
	}
	return all
}

// installed says where a program belongs below the prefix: naru in bin, its
// helpers in lib/naru, where naru looks for them.
func installed(program string) string {
	name := filepath.Base(program)
	if strings.TrimSuffix(name, ".exe") == "naru" {
		return "bin/" + name
	}
	return "lib/naru/" + name
}

func (j job) tarball(m machine, programs []string) (string, error) {
	top := "naru-" + j.version + "-" + m.os + "-" + m.arch
	entries := j.docs(top)
	for _, p := range programs {
		entries = append(entries, entry{name: path.Join(top, installed(p)), mode: 0o755, from: p})
	}
	if m.os == "linux" {
		units, err := embedded("systemd", top+"/systemd")
		if err != nil {
			return "", err
		}
		entries = append(entries, units...)
	}
	return j.write(top+".tar.gz", func(w io.Writer) error { return writeTarGz(w, "", j.date, entries) })
}

// write makes a file in the output folder.
func (j job) write(name string, fill func(io.Writer) error) (string, error) {
	at := filepath.Join(j.out, name)
	f, err := os.Create(at)
	if err != nil {
		return "", err
	}
	if err := fill(f); err != nil {
		_ = f.Close()
		return "", err
	}
	return at, f.Close()
}
