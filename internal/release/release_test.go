package release_test

import (
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/release"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func image(types ...string) artifact.Image {
	img := artifact.Image{Ref: artifact.Ref{Repository: "default/dev/shop", Digest: "sha256:1"}, Snapshot: "sha256:s"}
	for _, t := range types {
		img.Processes = append(img.Processes, app.Process{Type: t, Command: []string{t}})
	}
	return img
}

func TestCutFreezesTheDraft(t *testing.T) {
	a := app.App{ID: "a", Draft: app.Config{}.WithEnv(map[string]string{"GREETING": "hi"}).WithSecrets("PASSWORD").
		WithProcess("web", app.Overrides{MemoryMiB: 64}).
		WithProcess("clock", app.Overrides{Command: "tick"})}
	rel, err := release.Cut(a, image("worker", "web"), 7, "push", "ann", now)
	if err != nil {
		t.Fatal(err)
	}
	a.Draft.Env["GREETING"] = "changed later"
	if rel.Env["GREETING"] != "hi" || !slices.Equal(rel.Secrets, []string{"PASSWORD"}) {
		t.Errorf("env %v secrets %v", rel.Env, rel.Secrets)
	}
	if got := app.Types(rel.Processes); !slices.Equal(got, []string{"web", "clock", "worker"}) {
		t.Errorf("processes %v", got)
	}
	if web, _ := rel.Process("web"); web.MemoryMiB != 64 || web.Port != app.DefaultPort {
		t.Errorf("web = %+v", web)
	}
	if rel.Name() != "v7" {
		t.Errorf("Name() = %s", rel.Name())
	}
}

func TestCutRefusesAProcessNobodyCanStart(t *testing.T) {
	a := app.App{Draft: app.Config{}.WithProcess("wroker", app.Overrides{MemoryMiB: 64})}
	if _, err := release.Cut(a, image("web"), 1, "push", "ann", now); err == nil {
		t.Error("a process without command was accepted")
	}
}

func TestImageWithoutProcessesHasAWeb(t *testing.T) {
	rel, err := release.Cut(app.App{}, image(), 1, "push", "ann", now)
	if err != nil || len(rel.Processes) != 1 || rel.Processes[0].Type != app.Web {
		t.Errorf("processes %+v, %v", rel.Processes, err)
	}
}

func TestAgainEqualsTheOldOneUnderANewNumber(t *testing.T) {
	old, _ := release.Cut(app.App{Draft: app.Config{}.WithEnv(map[string]string{"A": "1"})}, image("web"), 3, "push", "ann", now)
	rel := release.Again(old, 9, "rollback to v3", "bob", now.Add(time.Hour))
	if rel.ID == old.ID || rel.Number != 9 {
		t.Errorf("not a new release: %+v", rel)
	}
	if diff := rel.Changes(old); len(diff) != 0 {
		t.Errorf("differs: %v", diff)
	}
}

func TestChangesAreWords(t *testing.T) {
	a := app.App{Draft: app.Config{}.WithEnv(map[string]string{"A": "1", "B": "2"})}
	old, _ := release.Cut(a, image("web", "worker"), 1, "push", "ann", now)
	a.Draft = a.Draft.WithoutEnv("A").WithSecrets("B").WithProcess("web", app.Overrides{MemoryMiB: 999})
	img := image("web")
	img.Ref.Digest = "sha256:2"
	rel, _ := release.Cut(a, img, 2, "push", "ann", now)
	want := []string{"image", "2 settings", "process web", "process worker gone"}
	if got := rel.Changes(old); !slices.Equal(got, want) {
		t.Errorf("Changes() = %v, want %v", got, want)
	}
}
