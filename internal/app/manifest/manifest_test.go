package manifest_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"naru/internal/app/manifest"
	"naru/internal/fault"
)

var update = flag.Bool("update", false, "write what is got into the golden files")

// Every file of testdata is a manifest and what is read from it, or every
// complaint about it.
func TestParse(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, archive.Files[0].Data)
			if len(archive.Files) > 1 && got == string(archive.Files[1].Data) {
				return
			}
			if !*update {
				t.Fatalf("got:\n%s\nwant another, see %s", got, file)
			}
			archive.Files = append(archive.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func read(t *testing.T, data []byte) string {
	t.Helper()
	f, err := manifest.Parse("manifest.yml", data)
	if err != nil {
		if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Unsupported) {
			t.Errorf("no fault for people: %v", err)
		}
		return err.Error() + "\n"
	}
	out, err := json.MarshalIndent(f.Applications, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text := string(out) + "\n"
	for _, w := range f.Warnings {
		text += w.String() + "\n"
	}
	return text
}

func TestFind(t *testing.T) {
	f, err := manifest.Parse("manifest.yml", []byte("applications:\n- name: a\n- name: b\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := f.Find("b"); err != nil || a.Line != 3 {
		t.Errorf("got line %d, %v", a.Line, err)
	}
	if _, err := f.Find("c"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "only a, b") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("applications:\n- &a\n  name: x\n  env: {A: 1}\n- <<: *a\n  name: y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := manifest.Parse("m", data); err != nil && fault.Of(err).Kind == fault.Internal {
			t.Errorf("no fault for people: %v", err)
		}
	})
}
