package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The log of an app arrives in Debian's rsyslog, each line, while the receiver
// goes and comes and the control plane is killed.
func TestLogsArriveInRsyslog(t *testing.T) {
	t.Parallel()
	p := start(t, "NARU_LOGS_DRAIN_LOCAL=true")
	r := newRsyslog(t)
	r.start()
	p.admin.do(t, "push", "chatty", "--path", probe(t), "--env", "RATE=100000") // a thousand lines a second
	p.admin.do(t, "drain", "add", "central", "syslog://"+r.address, "--app", "chatty")
	p.admin.do(t, "drain", "test", "central")
	r.has(t, "naru drain test central", "source_type=\"NARU\"")
	p.says(t, "chatty", "/", "probe")
	r.has(t, `"GET / HTTP/1.1" 200`, `source_type="RTR"`, `app_name="chatty"`, `[APP/PROC/WEB/0]`)
	first := r.counted(t)
	if first.lines == 0 {
		t.Error("no line of the app arrived")
	}

	r.stop(t)
	eventually(t, time.Minute, "the drain says that nothing gets through", func() error {
		if out := p.admin.do(t, "drains", "chatty"); !strings.Contains(out, "failing") || !strings.Contains(out, "refused") {
			return errorText(out)
		}
		return nil
	})
	p.kill(t, "naru", "server")
	r.start()
	eventually(t, time.Minute, "lines arrive again", func() error {
		if now := r.counted(t); now.last <= first.last {
			return fmt.Errorf("the last is %d", now.last)
		}
		return nil
	})
	p.kill(t, "naru", "server")
	eventually(t, time.Minute, "the app is stopped", func() error {
		if out, code := p.admin.run(t, "", "stop", "chatty"); code != 0 {
			return errorText(out)
		}
		return nil
	})
	var last int
	eventually(t, time.Minute, "all that was written arrives", func() error {
		out := p.admin.do(t, "logs", "chatty", "--source", "APP", "-n", "1")
		if m := numbered.FindStringSubmatch(out); m != nil {
			last, _ = strconv.Atoi(m[1])
		}
		if now := r.counted(t); last == 0 || now.last < last {
			return fmt.Errorf("the last in naru is %d, in rsyslog %d", last, now.last)
		}
		return nil
	})
	all := r.counted(t)
	if all.gaps != 0 || all.lines != all.last-all.first+1 {
		t.Errorf("%d lines from %d to %d arrived, with %d gaps", all.lines, all.first, all.last, all.gaps)
	}
	t.Logf("%d lines without a gap, %d of them twice", all.lines, all.twice)
	p.admin.do(t, "drain", "delete", "central")
	if out := p.admin.do(t, "drains"); !strings.Contains(out, "no log drains") {
		t.Errorf("after its end: %s", out)
	}
}

// rsyslog is the real one, which writes into a file.
type rsyslog struct {
	program, dir, address string
	cmd                   *exec.Cmd
	said                  output
}

func newRsyslog(t *testing.T) *rsyslog {
	t.Helper()
	program, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Skip("rsyslogd is not installed (apt-get install rsyslog)")
	}
	r := &rsyslog{program: program, dir: t.TempDir()}
	free(t, &r.address)
	host, port, _ := strings.Cut(r.address, ":")
	config := fmt.Sprintf(`
module(load="imtcp")
input(type="imtcp" port="%s" address="%s")
template(name="t" type="string" string="%%procid%% %%structured-data%% %%msg%%\n")
action(type="omfile" file="%s/out" template="t")
`, port, host, r.dir)
	if err := os.WriteFile(filepath.Join(r.dir, "conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *rsyslog) start() {
	r.cmd = exec.Command(r.program, "-n", "-f", filepath.Join(r.dir, "conf"), "-i", filepath.Join(r.dir, "pid"))
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	if err := r.cmd.Start(); err != nil {
		panic(err)
	}
}

func (r *rsyslog) stop(t testing.TB) {
	t.Helper()
	if r.cmd == nil {
		return
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	_ = r.cmd.Wait() // ended by the signal
	r.cmd = nil
}

// has waits for words in what rsyslog wrote.
func (r *rsyslog) has(t *testing.T, words ...string) {
	t.Helper()
	eventually(t, time.Minute, "rsyslog writes "+strings.Join(words, ", "), func() error {
		text, err := os.ReadFile(filepath.Join(r.dir, "out"))
		if err != nil {
			return err
		}
		for _, w := range words {
			if !bytes.Contains(text, []byte(w)) {
				return fmt.Errorf("%d bytes without %s; it said %s", len(text), w, r.said.String())
			}
		}
		return nil
	})
}

var numbered = regexp.MustCompile(`line (\d{8})`)

// arrived are the numbered lines of an app.
type arrived struct{ lines, first, last, gaps, twice int }

// counted counts what rsyslog wrote. A line may come twice; behind a gap none may
// come that is missing before it.
func (r *rsyslog) counted(t *testing.T) (a arrived) {
	t.Helper()
	f, err := os.Open(filepath.Join(r.dir, "out"))
	if err != nil {
		return a
	}
	defer f.Close()
	text := bufio.NewScanner(f)
	text.Buffer(nil, 1<<20)
	for text.Scan() {
		m := numbered.FindSubmatch(text.Bytes())
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case a.lines == 0:
			a.first = n
		case n <= a.last:
			a.twice++
			continue
		case n != a.last+1:
			a.gaps++
		}
		a.lines, a.last = a.lines+1, n
	}
	if err := text.Err(); err != nil {
		t.Fatal(err)
	}
	return a
}
