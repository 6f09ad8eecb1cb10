package drain_test

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"naru/internal/observe/drain"
)

// rsyslog is Debian's, with a connection in place of files.
type rsyslog struct {
	t            *testing.T
	program, dir string
	port         int
	got          chan string
	pool         *x509.CertPool // of its certificate; nil: no TLS
	cmd          *exec.Cmd
	said         bytes.Buffer
	settings     string
	texts        []string // different messages so far
}

func newRsyslog(t *testing.T, secure bool) *rsyslog {
	t.Helper()
	program, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Skip("rsyslogd is not installed (apt-get install rsyslog)")
	}
	if found, err := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_ossl.so"); secure && (err != nil || len(found) == 0) {
		t.Skip("rsyslogd has no TLS (apt-get install rsyslog-openssl)")
	}
	r := &rsyslog{t: t, program: program, dir: t.TempDir(), got: make(chan string, 10_000)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r.port = l.Addr().(*net.TCPAddr).Port
	must(t, l.Close())
	// It passes on what it reads: a pipe would drop what is not read at once.
	out, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, out.Close()) })
	go func() {
		for {
			c, err := out.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // it was only read from
				lines := bufio.NewScanner(c)
				lines.Buffer(nil, 1<<20)
				for lines.Scan() {
					r.got <- lines.Text()
				}
			}()
		}
	}()
	driver := ""
	if secure {
		driver = ` StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"`
		r.certificate()
		r.settings = fmt.Sprintf(`global(DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="%[1]s/cert" DefaultNetstreamDriverCertFile="%[1]s/cert" DefaultNetstreamDriverKeyFile="%[1]s/key")`, r.dir)
	}
	r.settings += fmt.Sprintf(`
module(load="imtcp"%s)
input(type="imtcp" port="%d" address="127.0.0.1")
template(name="t" type="string" string="%%hostname%%|%%app-name%%|%%procid%%|%%syslogseverity-text%%|%%structured-data%%|%%msg%%\n")
action(type="omfwd" target="127.0.0.1" port="%d" protocol="tcp" StreamDriver="ptcp" StreamDriverMode="0" template="t")
`, driver, r.port, out.Addr().(*net.TCPAddr).Port)
	return r
}

// certificate writes one for 127.0.0.1 with its key.
func (r *rsyslog) certificate() {
	s := httptest.NewUnstartedServer(nil) // for its certificate
	s.StartTLS()
	defer s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	must(r.t, err)
	must(r.t, os.WriteFile(filepath.Join(r.dir, "cert"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	must(r.t, os.WriteFile(filepath.Join(r.dir, "key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	r.pool = x509.NewCertPool()
	r.pool.AddCert(s.Certificate())
}

func (r *rsyslog) url() string {
	if r.pool != nil {
		return fmt.Sprintf("syslog-tls://127.0.0.1:%d", r.port)
	}
	return fmt.Sprintf("syslog://127.0.0.1:%d", r.port)
}

func (r *rsyslog) start() {
	r.t.Helper()
	config := filepath.Join(r.dir, "rsyslog.conf")
	must(r.t, os.WriteFile(config, []byte(r.settings), 0o600))
	r.cmd = exec.CommandContext(r.t.Context(), r.program, "-n", "-f", config, "-i", filepath.Join(r.dir, "pid"))
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	must(r.t, r.cmd.Start())
}

func (r *rsyslog) stop() {
	r.t.Helper()
	must(r.t, r.cmd.Process.Signal(syscall.SIGTERM))
	_ = r.cmd.Wait() // ended by the signal
}

// lines waits until there are so many different messages.
func (r *rsyslog) lines(n int) []string {
	r.t.Helper()
	for len(r.texts) < n {
		select {
		case line := <-r.got:
			parts := strings.SplitN(line, "|", 6)
			if len(parts) != 6 || parts[0] != "acme.prod.shop" || parts[2] != "[APP/PROC/WEB/2]" || parts[3] != "err" || !strings.Contains(parts[4], `app_id="0190-a"`) {
				r.t.Fatalf("rsyslog read %q", line)
			}
			if text := strings.TrimSpace(parts[5]); !slices.Contains(r.texts, text) { // what a receiver that went may not have read comes again
				r.texts = append(r.texts, text)
			}
		case <-time.After(time.Minute):
			r.t.Fatalf("rsyslog has %d lines of %d; it said %s", len(r.texts), n, &r.said)
		}
	}
	return r.texts
}

// TestRsyslog drains to the real one, which goes away for a while.
func TestRsyslog(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", secure), func(t *testing.T) {
			r := newRsyslog(t, secure)
			r.start()
			w := newWorld(t)
			w.run(r.url(), drain.Outside(true, r.pool), begin())
			var want []string
			say := func(n int) {
				var some []string
				for range n {
					some = append(some, fmt.Sprint("line ", len(want)))
					want = append(want, some[len(some)-1])
				}
				w.say(some...)
			}
			say(250)
			w.until(sent(250))
			r.lines(250)
			r.stop()
			say(250)
			w.until(func(s drain.State) bool { return !s.Failing.IsZero() })
			r.start()
			w.until(sent(500))
			if got := r.lines(500); !slices.Equal(got, want) {
				t.Errorf("rsyslog has %q", got)
			}
			w.stop()
			r.stop()
		})
	}
}
