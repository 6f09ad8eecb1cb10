package bake_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/build/bake"
	"naru/internal/build/bake/bakefix"
)

// warnings bakes and returns what it was warned of.
func warnings(t *testing.T, b *bake.Baker, spec bake.Spec, opt bake.Options) []string {
	t.Helper()
	var all []string
	opt.Progress = func(e bake.Event) {
		if e.Kind == bake.Warned {
			all = append(all, e.Name)
		}
	}
	if _, err := b.Bake(t.Context(), spec, opt); err != nil {
		t.Fatal(err)
	}
	return all
}

// plainTool is an archive whose tool wants nothing that an image lacks.
func plainTool(t *testing.T, change func(tool *bakefix.Package), extra string) *bakefix.Archive {
	t.Helper()
	a := bakefix.NewArchive(t)
	all := packages(t)
	tool := &all[len(all)-1]
	tool.Files[0].Mode = 0o755
	if change != nil {
		change(tool)
	}
	a.Publish("trixie", day.Add(-time.Hour), extra, append(all, bakefix.Plain("adduser"))...)
	return a
}

func TestNothingToWarnOf(t *testing.T) {
	a := plainTool(t, nil, "")
	b, spec := smallBaker(t, a, t.TempDir(), nil), smallSpec(t, a, "")
	for _, time := range []string{"first", "second"} {
		if got := warnings(t, b, spec, bake.Options{}); len(got) > 0 {
			t.Errorf("%s time: %q", time, got)
		}
	}
}

func TestWarnsOfWhatTheImageLacks(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*bakefix.Package)
		says   string
	}{
		"privileges": {func(p *bakefix.Package) { p.Files[0].Mode = 0o4755 }, "tool: /usr/bin/tool has no setuid or setgid bit"},
		"its user": {func(p *bakefix.Package) {
			p.Control = strings.Replace(p.Control, "Depends: bash", "Depends: bash, adduser (>= 1)", 1)
		}, "tool: its scripts, which are not run, make a system user"},
	} {
		t.Run(name, func(t *testing.T) {
			a := plainTool(t, tc.change, "")
			b, spec := smallBaker(t, a, t.TempDir(), nil), smallSpec(t, a, "")
			first := warnings(t, b, spec, bake.Options{})
			if len(first) != 1 || !strings.Contains(first[0], tc.says) {
				t.Errorf("warned of %q, want one saying %q", first, tc.says)
			}
			if again := warnings(t, b, spec, bake.Options{}); !slices.Equal(again, first) {
				t.Errorf("of the remembered image: %q, want %q", again, first)
			}
		})
	}
}

func TestWarnsOfAnOldRelease(t *testing.T) {
	a := plainTool(t, nil, "Valid-Until: "+day.Add(-time.Minute).UTC().Format(time.RFC1123)+"\n")
	spec, err := bake.ParseSpec("tool.yaml", []byte("foundation: tool\nfrom: {distribution: trixie, suites: [trixie], architecture: amd64, check_valid_until: false, mirror: \""+a.URL+"\"}\npackages: [tool]\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := warnings(t, smallBaker(t, a, t.TempDir(), nil), spec, bake.Options{})
	if len(got) != 1 || !strings.Contains(got[0], "suite trixie of "+a.URL+" ran out on 2026-03-01") {
		t.Errorf("warned of %q", got)
	}
}

func TestWarnsOfAnotherMirror(t *testing.T) {
	a, empty := plainTool(t, nil, ""), bakefix.NewArchive(t)
	res, err := smallBaker(t, a, t.TempDir(), nil).Bake(t.Context(), smallSpec(t, a, ""), bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := warnings(t, smallBaker(t, a, t.TempDir(), nil), smallSpec(t, empty, ""), bake.Options{Lock: &res.Lock})
	tool := "/pool/main/tool_1-1_amd64.deb"
	if len(got) != len(res.Lock.Packages) || !slices.Contains(got, empty.URL+tool+" is not there, it was taken from "+a.URL+tool) {
		t.Errorf("warned of %d packages of %d: %q", len(got), len(res.Lock.Packages), got)
	}
}

func TestWarnsOfADamagedCache(t *testing.T) {
	a := plainTool(t, nil, "")
	cache := t.TempDir()
	b, spec := smallBaker(t, a, cache, nil), smallSpec(t, a, "")
	warnings(t, b, spec, bake.Options{})
	records, err := filepath.Glob(filepath.Join(cache, "records", "*"))
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	if err := os.WriteFile(records[0], []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := warnings(t, b, spec, bake.Options{})
	if len(got) != 1 || !strings.Contains(got[0], "so it is baked anew") {
		t.Errorf("warned of %q", got)
	}
	if again := warnings(t, b, spec, bake.Options{}); len(again) > 0 {
		t.Errorf("after it was baked anew: %q", again)
	}
}
