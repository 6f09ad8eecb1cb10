// Package bakefix makes the raw material of bake's tests: .deb files and signed
// archives of a few packages, so that tests need no mirror.
package bakefix

import (
	"archive/tar"
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Package is a .deb to be made.
type Package struct {
	Control     string // the control stanza
	Date        time.Time
	Files       []File
	Compression string // of data.tar: "", ".gz" or ".zst"
}

// File is one entry of data.tar; Type defaults to a regular file.
type File struct {
	Name string
	Mode int64
	Body string
	Type byte
	Link string
	Time time.Time
	UID  int
	GID  int
}

// Deb returns the bytes of a .deb.
func Deb(t testing.TB, p Package) []byte {
	t.Helper()
	if p.Date.IsZero() {
		p.Date = time.Unix(1_750_000_000, 0)
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	add := func(name string, body []byte) {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, p.Date.Unix(), 0, 0, "100644", len(body))
		b.Write(body)
		if len(body)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	add("debian-binary", []byte("2.0\n"))
	control := Tar(t, []File{{Name: "./control", Mode: 0o644, Body: p.Control}})
	add("control.tar.gz", compress(t, ".gz", control))
	add("data.tar"+p.Compression, compress(t, p.Compression, Tar(t, p.Files)))
	return b.Bytes()
}

// Tar returns an uncompressed tar file.
func Tar(t testing.TB, files []File) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if f.Type == 0 {
			f.Type = tar.TypeReg
		}
		err := w.WriteHeader(&tar.Header{
			Name: f.Name, Mode: f.Mode, Size: int64(len(f.Body)), Typeflag: f.Type, Linkname: f.Link,
			ModTime: f.Time, Uid: f.UID, Gid: f.GID, Uname: "builder", Gname: "builder",
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.Body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compress(t testing.TB, ext string, in []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch ext {
	case "":
		return in
	case ".gz":
		w := gzip.NewWriter(&b)
		_, _ = w.Write(in)
		_ = w.Close()
	case ".zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(in)
		_ = w.Close()
	default:
		t.Fatalf("no compression %q", ext)
	}
	return b.Bytes()
}
