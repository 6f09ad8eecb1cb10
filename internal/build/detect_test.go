package build

import (
	"archive/zip"
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"naru/internal/app"
	"naru/internal/fault"
)

var update = flag.Bool("update", false, "write what is got into the golden files")

// Every file of testdata/detect is a tree and the plan, or the error, that it
// gives. Lines of the comment set options: "builder: go,main=./cmd/api".
func TestDetect(t *testing.T) {
	files, err := filepath.Glob("testdata/detect/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fsys, want, at := fstest.MapFS{}, "", -1
			for i, f := range archive.Files {
				if f.Name == "want" {
					want, at = string(f.Data), i
					continue
				}
				fsys[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
			}
			got := outcome(Detect(fsys, optionsOf(t, string(archive.Comment))))
			if got == want {
				return
			}
			if !*update {
				t.Fatalf("got:\n%s\nwant:\n%s", got, want)
			}
			if at < 0 {
				archive.Files, at = append(archive.Files, txtar.File{Name: "want"}), len(archive.Files)
			}
			archive.Files[at].Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func optionsOf(t *testing.T, comment string) Options {
	t.Helper()
	var opts Options
	for line := range strings.Lines(comment) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case key == "builder":
			opts.Builder = value
		case key == "foundation":
			opts.Foundation = value
		case key == "dockerfile":
			opts.Dockerfile = value
		case key == "web":
			opts.Processes = []app.Process{{Type: app.Web, Command: app.Shell(value)}}
		case key != "" && !strings.HasPrefix(key, "#"):
			t.Fatalf("unknown option %q", line)
		}
	}
	return opts
}

func outcome(r Recipe, err error) string {
	if err == nil {
		return r.Plan() + "\n"
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		return "not a fault: " + err.Error() + "\n"
	}
	out := string(f.Kind) + ": " + f.Error() + "\n"
	if f.Try != "" {
		out += "try: " + f.Try + "\n"
	}
	return out
}

func jar(t *testing.T, manifest string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("META-INF/MANIFEST.MF")
	if err == nil {
		_, err = w.Write([]byte(manifest))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDetectJar(t *testing.T) {
	runnable := jar(t, "Manifest-Version: 1.0\r\nMain-Class: a.B\r\n")
	for name, tc := range map[string]struct {
		files map[string][]byte
		opts  Options
		want  string // part of the plan or the error
	}{
		"one":                 {map[string][]byte{"shop.jar": runnable}, Options{}, "-jar shop.jar"},
		"several":             {map[string][]byte{"a.jar": runnable, "b.jar": runnable}, Options{}, "there are several jars: a.jar, b.jar"},
		"several, one chosen": {map[string][]byte{"a.jar": runnable, "b.jar": runnable}, Options{Builder: "jar,jar=b.jar"}, "-jar b.jar"},
		"name with a space":   {map[string][]byte{"my shop.jar": runnable}, Options{}, "-jar 'my shop.jar'"},
		"no main class":       {map[string][]byte{"lib.jar": jar(t, "Manifest-Version: 1.0\n")}, Options{}, "names no Main-Class"},
		"no zip":              {map[string][]byte{"lib.jar": []byte("hello")}, Options{}, "not a readable jar"},
		"a war":               {map[string][]byte{"shop.war": runnable}, Options{}, "needs an application server"},
		"an absent one named": {map[string][]byte{"a.jar": runnable}, Options{Builder: "jar,jar=c.jar"}, "c.jar is not in the source; it has a.jar"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for n, data := range tc.files {
				fsys[n] = &fstest.MapFile{Data: data}
			}
			if got := outcome(Detect(fsys, tc.opts)); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want it to hold %q", got, tc.want)
			}
		})
	}
}

func TestDetectForeignProgram(t *testing.T) {
	for name, tc := range map[string]struct {
		head string
		want string
	}{
		"windows":         {"MZ\x90\x00", "a Windows program"},
		"macos":           {"\xcf\xfa\xed\xfe", "a macOS program"},
		"other processor": {"\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xf3\x00", "another processor (RISCV)"},
		"script":          {"#!/bin/sh\n", "web: ./bin/app"},
		"empty":           {"", "web: ./bin/app"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{"Procfile": {Data: []byte("web: ./bin/app\n")}, "bin/app": {Data: []byte(tc.head)}}
			if got := outcome(Detect(fsys, Options{})); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want it to hold %q", got, tc.want)
			}
		})
	}
}

func TestBuildersAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Builders() {
		if b.Name == "" || b.Looks == "" || b.Makes == "" || seen[b.Name] {
			t.Errorf("incomplete or repeated: %+v", b)
		}
		seen[b.Name] = true
	}
}

// An override must never be half a recipe.
func TestEveryBuilderNamedOnAnEmptyTree(t *testing.T) {
	for _, b := range Builders() {
		_, err := Detect(fstest.MapFS{"x": {}}, Options{Builder: b.Name})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("-b %s: got %v, want an invalid fault", b.Name, err)
		}
	}
}
