package buildkit_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/build"
	"naru/internal/fault"
)

// snapshotA and B are digests of snapshots: any will do that differ when the
// files do.
const (
	snapshotA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	snapshotB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func example(name string) string { return filepath.Join("../../../examples", name) }

// copied is a copy of an example that a test may change.
func copied(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(example(name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func layerOf(r build.Result, name string) string {
	i := slices.IndexFunc(r.Layers, func(l build.ResultLayer) bool { return l.Name == name })
	if i < 0 {
		return ""
	}
	return r.Layers[i].Digest
}

// One machine for all: to start one and to unpack the foundations costs more
// than the builds do.
func TestBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("bakes foundations and builds images, for minutes under the race detector; run it without -short")
	}
	m := newMachine(t, newRegistry(t))
	for name, test := range map[string]func(*testing.T, *machine){
		"examples": testExamples, "failures": testFailures, "image": testImage,
		"dockerfile": testDockerfile, "procfile": testProcfileBinary, "mirrors": testMirrors, "classic": testClassic,
	} {
		t.Run(name, func(t *testing.T) { test(t, m) })
	}
}

func testExamples(t *testing.T, m *machine) {
	for _, name := range []string{"static", "node", "go", "java"} {
		t.Run(name, func(t *testing.T) {
			dir := copied(t, name)
			first, events, err := m.push(t, dir, snapshotA, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s in %v: %d bytes, layers %v, ran %v", first.Ref.Short(), first.Took, first.Bytes, first.Layers, steps(events, build.Done))
			again, events, err := m.push(t, dir, snapshotA, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("again in %v: remembered %v", again.Took, steps(events, build.Cached))
			if again.Ref != first.Ref {
				t.Errorf("unchanged, but %s became %s", first.Ref, again.Ref)
			}
			write(t, dir, "added.txt", "new\n")
			changed, events, err := m.push(t, dir, snapshotB, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("one file more in %v: ran %v", changed.Took, steps(events, build.Done))
			if changed.Ref == first.Ref {
				t.Error("changed, but the image is the same")
			}
			if got, want := layerOf(changed, "dependencies"), layerOf(first, "dependencies"); got != want {
				t.Errorf("the dependency layer changed with the source: %s, was %s", got, want)
			}
		})
	}
}

func testFailures(t *testing.T, m *machine) {
	t.Run("a script that fails", func(t *testing.T) {
		dir := copied(t, "node")
		write(t, dir, "package.json", `{"scripts": {"build": "echo one; echo two >&2; exit 3", "start": "node server.js"}}`)
		_, events, err := m.push(t, dir, snapshotA, nil)
		mustFail(t, err, fault.Failed, "run the build script: npm run build: exit 3", "\n  one", "\n  two")
		if got := steps(events, build.StepFailed); !slices.Equal(got, []string{"run the build script"}) {
			t.Errorf("failed steps %v", got)
		}
	})
	t.Run("a package that does not exist", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "package.json", `{"scripts": {"start": "x"}, "dependencies": {"@naru-example/is-not-there": "1"}}`)
		_, _, err := m.push(t, dir, snapshotA, nil)
		mustFail(t, err, fault.Failed, "install dependencies: npm install", "does not exist in the npm registry")
	})
	t.Run("for ever", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "package.json", `{"scripts": {"build": "echo waiting; sleep 1000", "start": "x"}}`)
		start := time.Now()
		_, _, err := m.push(t, dir, snapshotA, func(r *build.Request) { r.Timeout = 3 * time.Second })
		mustFail(t, err, fault.Failed, "stopped after 3s: run the build script", "waiting")
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
	t.Run("out of memory", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "package.json", `{"scripts": {"start": "x", "build": "node eat.js"}}`)
		write(t, dir, "eat.js", "const eaten = []; for (;;) eaten.push(Buffer.alloc(256 << 20, 1))")
		_, _, err := m.push(t, dir, snapshotA, nil)
		mustFail(t, err, fault.Failed, "run the build script", "raise build.memory")
	})
	t.Run("no network to this machine", func(t *testing.T) {
		var reached atomic.Bool
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
		l, err := net.Listen("tcp", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		srv.Listener = l
		srv.Start()
		defer srv.Close()
		dir := t.TempDir()
		write(t, dir, "package.json", `{"scripts": {"start": "x", "build": "node probe.js"}}`)
		write(t, dir, "probe.js", fmt.Sprintf("fetch('http://%s:%d/')", m.gateway, l.Addr().(*net.TCPAddr).Port))
		_, _, err = m.push(t, dir, snapshotA, nil)
		mustFail(t, err, fault.Failed, "exit 1")
		if reached.Load() {
			t.Error("a build reached this machine")
		}
	})
}
