package cli_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"naru/internal/cli"
	"naru/internal/pipeline/operation"
)

var ask = operation.Ask{Actor: "test"}

// folder makes something that can be pushed.
func folder(t testing.TB, under, name string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(under, name), 0o755))
	must(t, os.WriteFile(filepath.Join(under, name, "package.json"), []byte("{}"), 0o644))
}

// screen is output that a test reads while it is written.
type screen struct {
	mu   sync.Mutex // guards buf
	buf  bytes.Buffer
	more *sync.Cond
}

func newScreen() *screen {
	s := &screen{}
	s.more = sync.NewCond(&s.mu)
	return s
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more.Broadcast()
	return s.buf.Write(p)
}

func (s *screen) waitFor(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !strings.Contains(s.buf.String(), text) {
		s.more.Wait()
	}
	return s.buf.String()
}

func (s *screen) String() string { return s.waitFor("") }

// begin runs a command and returns what it prints and how it ends.
func (p *platform) beginNaru(ctx context.Context, home string, args ...string) (out, errs *screen, end <-chan int) {
	out, errs = newScreen(), newScreen()
	ended := make(chan int, 1)
	token := p.token()
	go func() {
		ended <- cli.Run(ctx, cli.World{Args: args, Dir: home, In: strings.NewReader(""), Out: out, Err: errs, Getenv: func(name string) string {
			return map[string]string{"NARU_HOME": home, "NARU_SERVER": p.url(), "NARU_TOKEN": token}[name]
		}})
	}()
	return out, errs, ended
}

func TestPushSurvivesARestartOfTheServer(t *testing.T) {
	p, home := newPlatform(t), t.TempDir()
	folder(t, home, "shop")
	release := p.hold("push")
	out, errs, end := p.beginNaru(t.Context(), home, "push", "shop", "--path", "shop")
	out.waitFor("✓ source")
	p.halt()
	errs.waitFor("waiting for the server: ")
	p.start()
	release()
	if got := <-end; got != 0 {
		t.Errorf("exit code %d:\n%s%s", got, out, errs)
	}
	text := out.waitFor("✓ live")
	for _, step := range []string{"✓ source", "✓ build", "✓ artifact", "✓ release", "✓ run", "✓ route", "✓ live"} {
		if n := strings.Count(text, step); n != 1 {
			t.Errorf("%q is there %d times:\n%s", step, n, text)
		}
	}
	if n := strings.Count(errs.String(), "waiting for the server"); n != 1 {
		t.Errorf("the wait is told %d times:\n%s", n, errs)
	}
}

func TestUploadSurvivesARestartOfTheServer(t *testing.T) {
	p, home := newPlatform(t), t.TempDir()
	folder(t, home, "shop")
	for i := range 8 { // more than pipes and sockets hold, so that the upload is in the middle when it breaks
		must(t, os.WriteFile(filepath.Join(home, "shop", fmt.Sprint(i)), bytes.Repeat([]byte{byte(i)}, 4<<20), 0o644))
	}
	cut := make(chan struct{})
	p.mu.Lock()
	p.cut = cut
	p.mu.Unlock()
	out, errs, end := p.beginNaru(t.Context(), home, "push", "shop", "--path", "shop")
	<-cut
	p.halt()
	p.start()
	if got := <-end; got != 0 {
		t.Fatalf("exit code %d:\n%s%s", got, out, errs)
	}
	if text := out.String(); !strings.Contains(text, "9 files, 33554434 B, sent 9 files, 32.0 MiB") {
		t.Errorf("the source step says something else:\n%s", text)
	}
	if !strings.Contains(errs.String(), "waiting for the server: ") {
		t.Errorf("the wait is not told:\n%s", errs)
	}
}

func TestCtrlCSaysHowToComeBack(t *testing.T) {
	p, home := newPlatform(t), t.TempDir()
	folder(t, home, "shop")
	release := p.hold("push")
	defer release()
	ctx, interrupt := context.WithCancel(t.Context())
	out, errs, end := p.beginNaru(ctx, home, "push", "shop", "--path", "shop")
	out.waitFor("✓ source")
	interrupt()
	if got := <-end; got != 130 {
		t.Errorf("exit code %d, want 130:\n%s%s", got, out, errs)
	}
	_, rest, ok := strings.Cut(errs.String(), "the push goes on; come back with: ")
	command, _, _ := strings.Cut(rest, ", or end it with: ")
	if !ok {
		t.Fatalf("no way back:\n%s", errs)
	}
	release()
	again, _, end := p.beginNaru(t.Context(), home, strings.Fields(command)[1:]...)
	if got := <-end; got != 0 || !strings.Contains(again.String(), "✓ live") {
		t.Errorf("%s: exit code %d:\n%s", command, got, again)
	}
}

func TestCancel(t *testing.T) {
	p, home := newPlatform(t), t.TempDir()
	folder(t, home, "shop")
	defer p.hold("push")()
	out, errs, end := p.beginNaru(t.Context(), home, "push", "shop", "--path", "shop", "--json")
	out.waitFor(`"step":"source","status":"done"`)
	ops, err := p.store.Operations(t.Context(), operation.Filter{})
	must(t, err)
	said, _, canceled := p.beginNaru(t.Context(), home, "operations", "cancel", string(ops[0].ID))
	if got := <-canceled; got != 0 {
		t.Errorf("cancel: exit code %d: %s", got, said)
	}
	p.work.Cancel(ops[0].ID) // the server's wiring passes the wish on
	if got := <-end; got != 1 {
		t.Errorf("exit code %d, want 1:\n%s", got, errs)
	}
	if !strings.Contains(out.String(), `"state":"canceled"`) {
		t.Errorf("the end is not told:\n%s", out)
	}
}

func TestJarIsPushedAsAFile(t *testing.T) {
	p, home := newPlatform(t), t.TempDir()
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	_, err := z.Create("META-INF/MANIFEST.MF")
	must(t, err)
	must(t, z.Close())
	must(t, os.WriteFile(filepath.Join(home, "shop-1.2.jar"), jar.Bytes(), 0o644))
	must(t, os.Symlink("shop-1.2.jar", filepath.Join(home, "shop.jar")))
	for _, name := range []string{"shop-1.2.jar", "shop.jar"} {
		out, errs, end := p.beginNaru(t.Context(), home, "push", "shop", "--path", name)
		if got := <-end; got != 0 {
			t.Fatalf("%s: exit code %d:\n%s%s", name, got, out, errs)
		}
	}
	snaps, err := p.store.Snapshots(t.Context(), p.space.ID)
	must(t, err)
	if len(snaps) != 2 || snaps[0].Files != 1 || snaps[0].Bytes != int64(jar.Len()) {
		t.Errorf("snapshots %+v, want one file of %d bytes each, under two names", snaps, jar.Len())
	}
}

func TestArchiveIsUnpacked(t *testing.T) {
	p, home := newPlatform(t), t.TempDir()
	f, err := os.Create(filepath.Join(home, "shop.zip"))
	must(t, err)
	z := zip.NewWriter(f)
	for _, name := range []string{"package.json", "server.js"} {
		w, err := z.Create(name)
		must(t, err)
		_, err = w.Write([]byte(name))
		must(t, err)
	}
	must(t, z.Close())
	must(t, f.Close())
	out, errs, end := p.beginNaru(t.Context(), home, "push", "--path", "shop.zip")
	if got := <-end; got != 0 {
		t.Fatalf("exit code %d:\n%s%s", got, out, errs)
	}
	if !strings.Contains(out.String(), "✓ source    2 files") || !strings.Contains(out.String(), "http://shop.localhost/") {
		t.Errorf("the archive's two files are not there:\n%s", out)
	}
}

func TestJSONIsALineForEachThing(t *testing.T) {
	p, home := newPlatform(t), t.TempDir()
	folder(t, home, "shop")
	out, errs, end := p.beginNaru(t.Context(), home, "push", "shop", "--path", "shop", "--json")
	if got := <-end; got != 0 {
		t.Fatalf("exit code %d:\n%s", got, errs)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if last := lines[len(lines)-1]; !strings.Contains(last, `"operation":{`) || !strings.Contains(last, `"release":1`) {
		t.Errorf("the last line is not the operation: %s", last)
	}
}

func TestLogsFollow(t *testing.T) {
	p, home := newPlatform(t), t.TempDir()
	_, err := p.CreateApp(t.Context(), ask, p.space.ID, "shop")
	must(t, err)
	p.say("shop", "one")
	ctx, interrupt := context.WithCancel(t.Context())
	out, _, end := p.beginNaru(ctx, home, "logs", "shop", "-f")
	out.waitFor("one")
	p.say("shop", "two \x1b[2J")
	out.waitFor("two \x1b[2J") // into a pipe the line goes as it is
	interrupt()
	if got := <-end; got != 130 {
		t.Errorf("exit code %d, want 130", got)
	}
}
