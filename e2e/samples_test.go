package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/run/runtest"
)

// sample is one app under examples/, and what changes in it.
type sample struct {
	name   string
	says   string                                 // words of its answer
	logs   string                                 // words of its own output; "" where it writes none
	file   string                                 // what is changed:
	was    string                                 // words in it,
	now    string                                 // and what takes their place
	after  string                                 // words of the answer then
	before func(t *testing.T, dir string)         // what must be there before a push
	also   func(t *testing.T, h home, app string) // what else is true of it
}

func samples() []sample {
	return []sample{
		{name: "static", says: "Hello from static files", file: "index.html", was: "Hello from static files", now: "Changed files", after: "Changed files"},
		{name: "procfile-binary", says: "Hello from a program", logs: "listening on", file: "hello.go", was: "Hello from a program", now: "Changed a program",
			after: "Changed a program", before: compileHello, also: workerCounts},
		{name: "node", says: "Hello from Node", logs: "request 1", file: "server.js", was: "Hello from", now: "Changed", after: "Changed Node"},
		{name: "dockerfile", says: "Hello from a Dockerfile", logs: "listening on", file: "greeting.txt", was: "Hello", now: "Changed", after: "Changed from a Dockerfile"},
		{name: "go", says: "Hello from Go", logs: "request /", file: "main.go", was: "Hello from", now: "Changed", after: "Changed Go"},
		{name: "java", says: "Hello from Java", logs: "listening on", file: "src/com/example/Server.java", was: "Hello from", now: "Changed", after: "Changed Java"},
		{name: "python", says: "Hello from Python", logs: "listening on", file: "app.py", was: "greeting.hello('Python')", now: "'Changed ' + greeting.hello('Python')", after: "Changed Hello from Python"},
		{name: "maven", says: "Hello from Maven", logs: "listening on", file: "src/main/java/com/example/Server.java", was: "hello from", now: "changed", after: "Changed Maven"},
	}
}

// Every sample goes the whole way: pushed, visited, read, scaled, changed and
// pushed again, rolled back, deleted.
func TestSamples(t *testing.T) {
	t.Parallel()
	var mirrors []string
	if !testing.Short() {
		mirrors = []string{pip(t), maven(t)}
	}
	p := start(t, mirrors...)
	for i, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			if testing.Short() && i > 1 {
				t.Skip("-short tries what needs no foundation")
			}
			began := time.Now()
			wholeWay(t, p, s)
			t.Logf("%s: the whole way in %s", s.name, time.Since(began).Round(time.Millisecond))
		})
	}
}

func wholeWay(t *testing.T, p *platform, s sample) {
	dir, app := copied(t, "../examples/"+s.name), "try-"+s.name
	if s.before != nil {
		s.before(t, dir)
	}
	left := runtest.Leftovers(t, p.data())
	out := p.admin.do(t, "push", app, "--path", dir)
	if !strings.Contains(out, "http://"+app+".localhost:") {
		t.Errorf("the push does not say where the app is:\n%s", out)
	}
	p.says(t, app, "/", s.says)
	if s.logs != "" {
		p.logs(t, p.admin, app, s.logs)
	}
	if s.also != nil {
		s.also(t, p.admin, app)
	}
	p.admin.do(t, "scale", app, "3")
	p.reaches(t, p.admin, app, 3)

	change(t, filepath.Join(dir, s.file), s.was, s.now, s.after)
	if s.before != nil {
		s.before(t, dir)
	}
	p.admin.do(t, "push", app, "--path", dir)
	p.says(t, app, "/", s.after)
	p.admin.do(t, "rollback", app)
	p.says(t, app, "/", s.says)

	p.admin.do(t, "delete", app, "--yes")
	p.gone(t, app)
	left()
}

// logs waits for words in an app's output.
func (p *platform) logs(t testing.TB, h home, app, words string) {
	t.Helper()
	eventually(t, 15*time.Second, fmt.Sprintf("the log of %s has %q", app, words), func() error {
		out, code := h.run(t, "", "logs", app)
		if code != 0 || !strings.Contains(out, words) {
			return fmt.Errorf("it says:\n%s", lastLines(out, 20))
		}
		return nil
	})
}

func compileHello(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", "bin/hello", "hello.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
}

func workerCounts(t *testing.T, h home, app string) {
	t.Helper()
	h.do(t, "scale", app, "worker=1") // only web starts by itself
	h.p.logs(t, h, app, "work 2")
}

// copied is a copy of a folder that a test may change.
func copied(t testing.TB, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// change replaces words in a file, or all of it where no words are given.
func change(t testing.TB, file, was, now, all string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := all
	if was != "" {
		changed = strings.ReplaceAll(string(text), was, now)
	}
	if changed == string(text) {
		t.Fatalf("%s has no %q to change", file, was)
	}
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}
