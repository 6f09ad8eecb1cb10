package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An app that logs 1 MB/s neither blocks nor loses a line while the control
// plane is away for 60 s. What could run out is the space for these 60 MB, so
// they are written faster; NARU_FULL=1 takes the minute.
func TestLogsSurvive(t *testing.T) {
	slow(t)
	const want = 600_000 // lines of 100 bytes
	rate := "6000000"
	if os.Getenv("NARU_FULL") != "" {
		rate = "1000000"
	}
	p := start(t)
	p.admin.do(t, "push", "chatty", "--path", probe(t), "--env", "RATE="+rate)
	server := p.pid(t, "naru", "server")
	if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := p.written(t)
	began := time.Now()
	eventually(t, 90*time.Second, "60 MB are written with nobody there to read", func() error {
		if n := p.written(t) - before; n < want {
			return fmt.Errorf("%d lines in %s", n, time.Since(began).Round(time.Millisecond))
		}
		return nil
	})
	t.Logf("%d lines in %s without a server", p.written(t)-before, time.Since(began).Round(time.Millisecond))
	p.kill(t, "naru", "server")
	p.admin.do(t, "stop", "chatty")
	var lines, last int
	eventually(t, 90*time.Second, "all lines are there", func() error {
		out, code := p.admin.run(t, "", "logs", "chatty", "--source", "APP", "-n", "10000000")
		if code != 0 {
			return errorText(lastLines(out, 3))
		}
		lines, last = 0, 0
		for line := range strings.Lines(out) {
			_, text, ok := strings.Cut(line, " line ")
			if !ok {
				continue
			}
			n, err := strconv.Atoi(text[:8])
			if err != nil {
				t.Fatalf("a broken line: %q", line)
			}
			if last > 0 && n != last+1 {
				t.Fatalf("line %d follows line %d", n, last)
			}
			lines, last = lines+1, n
		}
		if last < before+want {
			return fmt.Errorf("%d lines, the last is %d", lines, last)
		}
		return nil
	})
	t.Logf("%d lines without a gap, up to %d", lines, last)
	if lines < want {
		t.Errorf("only %d lines were kept", lines)
	}
}

func (p *platform) written(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(p.asks(t, "chatty", "/written"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A backup in an empty folder is the same platform: users, apps, secrets,
// images.
func TestBackup(t *testing.T) {
	slow(t)
	t.Parallel()
	p := start(t)
	p.admin.do(t, "push", "kept", "--path", "../examples/static")
	p.admin.do(t, "set-env", "kept", "WORD=precious")
	if out, code := p.admin.run(t, "hidden treasure", "set-env", "kept", "--secret", "PLACE"); code != 0 {
		t.Fatal(out)
	}
	keyless := filepath.Join(t.TempDir(), "naru.backup")
	p.admin.do(t, "backup", keyless)
	p.opensNothing(t, keyless)
	backup := filepath.Join(t.TempDir(), "naru.backup")
	p.admin.do(t, "backup", backup, "--with-key")
	p.admin.refused(t, []string{"restore", backup, "--data-dir", p.data()}, "naru down")

	q := start(t)
	q.stop(t)
	if err := os.RemoveAll(q.data()); err != nil {
		t.Fatal(err)
	}
	q.admin.do(t, "restore", backup, "--data-dir", q.data())
	q.run(t)
	q.admin = q.login(t)
	mustSay(t, q.admin.do(t, "env", "kept"), "precious")
	eventually(t, 30*time.Second, "the app runs from the restored image", func() error {
		got, err := q.visit(t, "kept", "/")
		if err == nil && got.status != 200 {
			err = fmt.Errorf("%d %s", got.status, got.body)
		}
		return err
	})
	q.says(t, "kept", "/", "Hello from static files")
	mustSay(t, q.admin.do(t, "run", "kept", "--", "sh", "-c", "echo it is in $PLACE"), "it is in hidden treasure")
	p.says(t, "kept", "/", "Hello from static files")
}

// opensNothing looks through a backup for what opens secrets, or lets in.
func (p *platform) opensNothing(t *testing.T, backup string) {
	t.Helper()
	f, err := os.Open(backup)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("precious")) {
		t.Error("the backup does not even have the plain settings: this looks in the wrong place")
	}
	for _, name := range []string{"keys/master", "keys/token.pem", "secrets/admin"} {
		secret, err := os.ReadFile(filepath.Join(p.data(), name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, bytes.TrimSpace(secret)) || bytes.Contains(text, []byte(name)) {
			t.Errorf("%s is in the backup", name)
		}
	}
	if bytes.Contains(text, []byte("hidden treasure")) {
		t.Error("a secret is in the backup as it is")
	}
}
