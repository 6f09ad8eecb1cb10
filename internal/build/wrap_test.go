package build_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/build"
	"naru/internal/fault"
	"naru/internal/secret"
)

// builderFunc is a builder that can be told what to do.
type builderFunc func(context.Context, build.Request) (build.Result, error)

func (f builderFunc) Build(ctx context.Context, req build.Request) (build.Result, error) {
	return f(ctx, req)
}

type memory map[string]build.Result

func (m memory) Image(_ context.Context, key string) (build.Result, bool, error) {
	r, ok := m[key]
	return r, ok, nil
}

func (m memory) Keep(_ context.Context, r build.Result) error {
	m[r.RecipeKey] = r
	return nil
}

func request() build.Request {
	return build.Request{
		Recipe:         build.Recipe{Builder: "node", Foundations: build.Names{Build: "node-build:22", Run: "node:22"}},
		SnapshotDigest: "sha256:a", Space: "s", Target: build.Target{Repository: "default/dev/shop"},
		Foundations: build.Resolved{Run: build.Foundation{Ref: "r", Digest: "sha256:f"}, Build: build.Foundation{Ref: "b", Digest: "sha256:g"}},
	}
}

func TestRemembering(t *testing.T) {
	ran := 0
	b := build.Remembering(builderFunc(func(context.Context, build.Request) (build.Result, error) {
		ran++
		return build.Result{Ref: artifact.Ref{Repository: "r", Digest: "d"}}, nil
	}), memory{})
	for i, want := range []bool{false, true, true} {
		res, err := b.Build(t.Context(), request())
		if err != nil || res.Cached != want || res.RecipeKey == "" {
			t.Errorf("build %d: cached %v, key %q, %v", i, res.Cached, res.RecipeKey, err)
		}
	}
	fresh := request()
	fresh.Fresh = true
	if res, err := b.Build(t.Context(), fresh); err != nil || res.Cached {
		t.Errorf("fresh: cached %v, %v", res.Cached, err)
	}
	if ran != 2 {
		t.Errorf("built %d times, want 2", ran)
	}
}

func TestFailuresAreNotRemembered(t *testing.T) {
	m := memory{}
	b := build.Remembering(builderFunc(func(context.Context, build.Request) (build.Result, error) {
		return build.Result{}, errors.New("no")
	}), m)
	if _, err := b.Build(t.Context(), request()); err == nil || len(m) != 0 {
		t.Errorf("got %v, remembered %d", err, len(m))
	}
}

func TestRecipeKey(t *testing.T) {
	key := func(change func(*build.Request)) string {
		req := request()
		change(&req)
		k, err := build.RecipeKey(req)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := key(func(*build.Request) {})
	for name, tc := range map[string]struct {
		change func(*build.Request)
		same   bool
	}{
		"snapshot":         {func(r *build.Request) { r.SnapshotDigest = "sha256:b" }, false},
		"repository":       {func(r *build.Request) { r.Target.Repository = "x/y/z" }, false},
		"run foundation":   {func(r *build.Request) { r.Foundations.Run.Digest = "sha256:h" }, false},
		"build foundation": {func(r *build.Request) { r.Foundations.Build.Digest = "sha256:h" }, false},
		"a command":        {func(r *build.Request) { r.Recipe.Steps = []build.Step{{Command: "x"}} }, false},
		"a hidden command": {func(r *build.Request) { r.Recipe.Steps = []build.Step{{Then: "x"}} }, false},
		"environment":      {func(r *build.Request) { r.Env = map[string]string{"A": "1"} }, false},
		"a secret's name":  {func(r *build.Request) { r.Secrets = map[string]secret.Secret{"A": secret.New("1")} }, false},
		"registry":         {func(r *build.Request) { r.Target.Registry = "127.0.0.1:1" }, true},
		"mirrors":          {func(r *build.Request) { r.Mirrors.NPM = "http://x" }, true},
		"commit":           {func(r *build.Request) { r.SourceCommit = "abc" }, true},
		"warnings":         {func(r *build.Request) { r.Recipe.Warnings = []build.Hint{{Message: "x"}} }, true},
		"time limit":       {func(r *build.Request) { r.Timeout = time.Hour }, true},
	} {
		if got := key(tc.change) == base; got != tc.same {
			t.Errorf("%s: same key %v, want %v", name, got, tc.same)
		}
	}
	one := key(func(r *build.Request) { r.Secrets = map[string]secret.Secret{"A": secret.New("1")} })
	two := key(func(r *build.Request) { r.Secrets = map[string]secret.Secret{"A": secret.New("2")} })
	if one != two {
		t.Error("a secret's value is part of the key")
	}
}

type found map[string]build.Foundation

func (f found) Resolve(_ context.Context, name string) (build.Foundation, error) {
	r, ok := f[name]
	if !ok {
		return r, fault.New(fault.NotFound, "foundation", "there is no %s", name)
	}
	return r, nil
}

func TestResolving(t *testing.T) {
	var got build.Resolved
	next := builderFunc(func(_ context.Context, r build.Request) (build.Result, error) {
		got = r.Foundations
		return build.Result{}, nil
	})
	foundations := found{
		"node-build:22": {Ref: "b", ABI: "node=127,glibc=2.41"}, "node:22": {Ref: "r", ABI: "node=127,glibc=2.41"},
		"node:24": {Ref: "x", ABI: "node=137"}, "other": {Ref: "o"},
	}
	for name, tc := range map[string]struct {
		run  string
		want fault.Kind
	}{
		"fits":             {"node:22", ""},
		"says nothing":     {"other", ""},
		"another version":  {"node:24", fault.Conflict},
		"there is no such": {"node:99", fault.NotFound},
	} {
		req := request()
		req.Foundations, req.Recipe.Foundations.Run = build.Resolved{}, tc.run
		_, err := build.Resolving(next, foundations).Build(t.Context(), req)
		if tc.want == "" && (err != nil || got.Run.Ref != foundations[tc.run].Ref || got.Build.Ref != "b") {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if tc.want != "" && !fault.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

func TestResolvingForADockerfile(t *testing.T) {
	var got build.Resolved
	next := builderFunc(func(_ context.Context, r build.Request) (build.Result, error) {
		got = r.Foundations
		return build.Result{}, nil
	})
	req := build.Request{Recipe: build.Recipe{Dockerfile: &build.Dockerfile{Stands: []string{"node:22"}}}}
	foundations := found{"node:22": {Ref: "r", Digest: "sha256:1"}}
	if _, err := build.Resolving(next, foundations).Build(t.Context(), req); err != nil || got.Named["node:22"].Ref != "r" {
		t.Errorf("got %+v, %v", got, err)
	}
	req.Recipe.Dockerfile.Stands = []string{"node:99"}
	if _, err := build.Resolving(next, foundations).Build(t.Context(), req); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestLimiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards the counters
		running, most, perSpace := 0, 0, map[app.SpaceID]int{}
		b := build.Limiting(builderFunc(func(_ context.Context, r build.Request) (build.Result, error) {
			count := func(by int) {
				mu.Lock()
				defer mu.Unlock()
				running += by
				perSpace[r.Space] += by
				most = max(most, running)
				if perSpace[r.Space] > 1 {
					t.Errorf("two builds of space %s at once", r.Space)
				}
			}
			count(1)
			time.Sleep(time.Minute)
			count(-1)
			return build.Result{}, nil
		}), 2)
		start, done := time.Now(), make(chan error)
		spaces := []app.SpaceID{"a", "a", "b", "b", "c", "c"}
		for _, space := range spaces {
			go func() {
				req := request()
				req.Space = space
				_, err := b.Build(t.Context(), req)
				done <- err
			}()
			synctest.Wait()
		}
		for range spaces {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if most != 2 || time.Since(start) != 3*time.Minute {
			t.Errorf("at most %d at once in %v, want 2 in 3m", most, time.Since(start))
		}
	})
}

func TestLimitingGivesUpWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := build.Limiting(builderFunc(func(ctx context.Context, _ build.Request) (build.Result, error) {
			<-ctx.Done()
			return build.Result{}, ctx.Err()
		}), 1)
		first, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := b.Build(first, request())
			done <- err
		}()
		synctest.Wait()
		second, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Build(second, request()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		stop()
		<-done
	})
}

func TestLogging(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	req := request()
	req.Secrets = map[string]secret.Secret{"A": secret.New("hunter2")}
	fails := builderFunc(func(context.Context, build.Request) (build.Result, error) {
		return build.Result{}, fault.New(fault.Failed, "build", "no")
	})
	if _, err := build.Logging(fails, log).Build(t.Context(), req); err == nil {
		t.Error("the error is gone")
	}
	if got := out.String(); !strings.Contains(got, "build failed") || !strings.Contains(got, "kind=failed") || strings.Contains(got, "hunter2") {
		t.Errorf("logged %q", got)
	}
}

// Every sample must be recognised, and every app that fails on purpose must
// fail at its own step and not at this one.
func TestSamplesAreDetected(t *testing.T) {
	for dir, want := range map[string]string{
		"../../examples/node": "node", "../../examples/go": "go", "../../examples/python": "python", "../../examples/java": "java",
		"../../examples/maven": "maven", "../../examples/static": "static", "../../examples/dockerfile": "dockerfile",
		"../../testdata/apps/crash-loop": "python", "../../testdata/apps/never-listens": "python", "../../testdata/apps/wrong-port": "python",
		"../../testdata/apps/eats-memory": "python", "../../testdata/apps/slow-start": "python", "../../testdata/apps/log-flood": "python",
	} {
		r, err := build.Detect(os.DirFS(dir), build.Options{})
		if err != nil || r.Builder != want {
			t.Errorf("%s: got %q, %v; want %q", dir, r.Builder, err, want)
		}
	}
	overlay := fstest.MapFS{"server.js": {}}
	for _, dir := range []string{"fails-to-build", "builds-forever"} {
		data, err := os.ReadFile("../../testdata/apps/" + dir + "/package.json")
		if err != nil {
			t.Fatal(err)
		}
		overlay["package.json"] = &fstest.MapFile{Data: data}
		if r, err := build.Detect(overlay, build.Options{}); err != nil || len(r.Steps) != 1 {
			t.Errorf("%s: %d steps, %v", dir, len(r.Steps), err)
		}
	}
}
