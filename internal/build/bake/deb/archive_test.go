package deb_test

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"naru/internal/build/bake/bakefix"
	"naru/internal/build/bake/deb"
	"naru/internal/build/bake/inflate"
)

func TestArchiveYieldsControlAndData(t *testing.T) {
	for _, ext := range []string{"", ".gz", ".zst"} {
		raw := bakefix.Deb(t, bakefix.Package{
			Control: "Package: hello\nVersion: 1-1\nArchitecture: all\n", Date: time.Unix(1_700_000_000, 0),
			Files: []bakefix.File{{Name: "./usr/bin/hello", Mode: 0o755, Body: "hi"}}, Compression: ext,
		})
		a, err := deb.Open(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatalf("%q: %v", ext, err)
		}
		if a.Date.Unix() != 1_700_000_000 {
			t.Errorf("Date = %v", a.Date)
		}
		c, err := a.Control(t.Context())
		if err != nil || c.Get("Package") != "hello" {
			t.Errorf("Control() = %q, %v", c, err)
		}
		r, err := a.Data(t.Context(), inflate.Inflater{})
		if err != nil {
			t.Fatal(err)
		}
		tr := tar.NewReader(r)
		h, err := tr.Next()
		if err != nil || h.Name != "./usr/bin/hello" {
			t.Fatalf("first entry %v, %v", h, err)
		}
		if body, _ := io.ReadAll(tr); string(body) != "hi" {
			t.Errorf("body = %q", body)
		}
		_ = r.Close()
	}
}

func TestOpenRefusesWhatIsNoDeb(t *testing.T) {
	good := string(bakefix.Deb(t, bakefix.Package{Control: "Package: a\nVersion: 1\nArchitecture: all\n"}))
	for name, raw := range map[string]string{
		"empty":         "",
		"text":          "hello, world, this is no archive at all",
		"only magic":    "!<arch>\n",
		"cut header":    good[:70],
		"cut member":    good[:len(good)-600],
		"damaged":       strings.Replace(good, "`\n", "xx", 1),
		"other format":  strings.Replace(good, "2.0\n", "3.0\n", 1),
		"negative size": strings.Replace(good, "4         `\n", "-4        `\n", 1),
		"bz2":           strings.Replace(good, "data.tar    ", "data.tar.bz2", 1),
	} {
		if _, err := deb.Open(strings.NewReader(raw), int64(len(raw))); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(bakefix.Deb(f, bakefix.Package{Control: "Package: a\nVersion: 1\nArchitecture: all\n"}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := deb.Open(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return
		}
		_, _ = a.Control(t.Context()) // must neither panic nor go on for ever
	})
}
