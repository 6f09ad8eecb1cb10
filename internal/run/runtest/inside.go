package runtest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"naru/internal/fault"
	"naru/internal/run"
)

func execBytes(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f))
	data := make([]byte, 10_000_000)
	rand.Read(data)
	var out, errs bytes.Buffer
	code, err := d.Exec(t.Context(), st.ID, run.ExecSpec{
		Argv: []string{TestApp, "echo"}, IO: run.IO{Stdin: bytes.NewReader(data), Stdout: &out, Stderr: &errs},
	})
	if err != nil || code != 0 || !bytes.Equal(out.Bytes(), data) {
		t.Errorf("exit %d, %v, %d bytes came back of %d; %s", code, err, out.Len(), len(data), &errs)
	}
	code, err = d.Exec(t.Context(), st.ID, run.ExecSpec{Argv: []string{TestApp, "exit", "7"}})
	if err != nil || code != 7 {
		t.Errorf("exit %d, %v, want 7", code, err)
	}
	if _, err := d.Exec(t.Context(), st.ID, run.ExecSpec{Argv: []string{"/missing"}}); !fault.Is(err, fault.Failed) {
		t.Errorf("a missing command: %v", err)
	}
	if _, err := d.Exec(t.Context(), "unknown", run.ExecSpec{Argv: []string{TestApp}}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown instance: %v", err)
	}
}

func execTerminal(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f))
	sizes := make(chan run.Size, 2)
	sizes <- run.Size{Columns: 90, Rows: 31}
	keys, typed := io.Pipe()
	out := &seeker{want: map[string]func(){
		"size 90x31":  func() { sizes <- run.Size{Columns: 120, Rows: 42} },
		"size 120x42": func() { go typed.Write([]byte("q\r")) },
	}}
	code, err := d.Exec(t.Context(), st.ID, run.ExecSpec{
		Argv: []string{TestApp, "size"}, IO: run.IO{TTY: true, Stdin: keys, Stdout: out, Resize: sizes},
	})
	close(sizes)
	typed.Close()
	if err != nil || code != 0 || len(out.want) > 0 {
		t.Errorf("exit %d, %v; printed %q", code, err, out.text.String())
	}
}

func execSignal(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f))
	signals := make(chan int, 1)
	in, typed := io.Pipe() // it never ends by itself
	defer typed.Close()
	out := &seeker{want: map[string]func(){"here": func() { signals <- int(syscall.SIGKILL) }}}
	go typed.Write([]byte("here"))
	code, err := d.Exec(t.Context(), st.ID, run.ExecSpec{Argv: []string{TestApp, "echo"}, IO: run.IO{Stdin: in, Stdout: out, Signals: signals}})
	if err != nil || code != 128+int(syscall.SIGKILL) {
		t.Errorf("exit %d, %v, want the signal's", code, err)
	}
}

// dial finds an instance at its own loopback, where it has one.
func dial(t *testing.T, d run.Driver, f Fixture) {
	st := start(t, d, Spec(f))
	get(t, st, "/")
	conn, err := d.Dial(t.Context(), st.ID, net.JoinHostPort("localhost", strconv.Itoa(int(st.Addr.Port()))))
	if fault.Is(err, fault.Unsupported) {
		return // its instances share the machine's
	}
	must(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(answer), "hello") {
		t.Errorf("answers %q, %v", answer, err)
	}
	if _, err := d.Dial(t.Context(), "unknown", "127.0.0.1:1"); !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) {
		t.Errorf("an unknown instance: %v", err)
	}
	// Another port of the machine's loopback is not the instance's.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	if conn, err := d.Dial(t.Context(), st.ID, ln.Addr().String()); err == nil && f.Network {
		conn.Close()
		t.Error("the machine's loopback was reached")
	}
}

// seeker calls back when a text was printed.
type seeker struct {
	text strings.Builder
	want map[string]func()
}

func (s *seeker) Write(b []byte) (int, error) {
	s.text.Write(b)
	for text, found := range s.want {
		if strings.Contains(s.text.String(), text) {
			delete(s.want, text)
			found()
		}
	}
	return len(b), nil
}
