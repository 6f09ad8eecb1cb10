package hub_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/hub"
	"naru/internal/route/routetest"
	"naru/internal/route/wire"
)

const limit = time.Minute

// helperEnv makes the test binary a gateway process of a hub. A line on its
// input makes it drop its stream and live on; the end of its input ends it.
const helperEnv = "NARU_TEST_HUB_SOCKET"

func TestMain(m *testing.M) {
	if socket := os.Getenv(helperEnv); socket != "" {
		if err := helper(socket); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func helper(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	if err := wire.Write(conn, &wire.Message{Hello: &wire.Hello{Generation: "helper", PID: os.Getpid()}}); err != nil {
		fmt.Println("cut off") // before a word was said
		return nil
	}
	go func() {
		for {
			m, err := wire.Read(conn, wire.DefaultMaxFrame)
			if err != nil {
				fmt.Println("cut off")
				return
			}
			var t route.Table
			_ = json.Unmarshal(m.Table, &t)
			_ = wire.Write(conn, &wire.Message{Ack: &wire.Ack{Version: t.Version}})
		}
	}()
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return nil
	}
	_ = conn.Close()
	_, _ = io.Copy(io.Discard, in)
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open runs a hub on a socket.
func open(t *testing.T, cfg hub.Config) (*hub.Hub, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := hub.Listen(socket, cfg.GatewayUID)
	must(t, err)
	if cfg.Settle == 0 {
		cfg.Settle = time.Nanosecond
	}
	h := hub.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	run(t, func(ctx context.Context) error { return h.Run(ctx, ln) })
	return h, socket
}

func run(t *testing.T, part func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			must(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func now() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestLostStreamIsNotALostGateway drops the stream of a gateway process that
// lives on: what is to be acknowledged by all has to wait for it.
func TestLostStreamIsNotALostGateway(t *testing.T) {
	h, socket := open(t, hub.Config{})
	cmd, in, _ := process(t, socket, 0)
	v := h.Publish(route.Table{})
	must(t, h.WaitAcked(wait(t), v))
	other := routetest.NewGateway(socket)
	run(t, other.Run)
	_, err := other.Table(wait(t))
	must(t, err)
	_, err = io.WriteString(in, "drop\n")
	must(t, err)
	until(t, h, func(all []hub.Status) bool { return len(all) == 2 && !all[0].Connected })

	v = h.Publish(route.Table{})
	err = h.WaitAcked(now(), v)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", cmd.Process.Pid)) {
		t.Errorf("WaitAcked = %v, want it to name the process", err)
	}
	must(t, in.Close()) // the process ends
	must(t, h.WaitAcked(wait(t), v))
	if all := h.Gateways(); len(all) != 1 {
		t.Errorf("gateways %+v", all)
	}
}

// TestStrangersAreCutOff dials as a user that is neither ours nor the gateway's.
func TestStrangersAreCutOff(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a process as another user")
	}
	const nobody, gatewayUser = 65534, 65533
	h, socket := open(t, hub.Config{GatewayUID: gatewayUser})
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != gatewayUser {
		t.Errorf("socket %v, %v", info, err)
	}
	must(t, os.Chown(socket, nobody, -1)) // so that only the hub itself can refuse
	reach(t, socket)
	_, _, out := process(t, socket, nobody)
	if line, err := out.ReadString('\n'); line != "cut off\n" {
		t.Errorf("it read %q, %v", line, err)
	}
	must(t, os.Chown(socket, gatewayUser, -1))
	process(t, socket, gatewayUser)
	must(t, h.WaitAcked(wait(t), h.Publish(route.Table{})))
	if all := h.Gateways(); len(all) != 1 {
		t.Errorf("gateways %+v", all)
	}
}

// reach lets other users walk to the socket.
func reach(t *testing.T, socket string) {
	for dir := filepath.Dir(socket); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
}

// process starts the helper, as another user where uid is above 0.
func process(t *testing.T, socket string, uid uint32) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
	t.Helper()
	path := os.Args[0]
	if uid > 0 { // the test binary's folder is closed to others
		dir, err := os.MkdirTemp("", "hub")
		must(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		must(t, os.Chmod(dir, 0o755))
		data, err := os.ReadFile(path)
		must(t, err)
		path = filepath.Join(dir, "helper")
		must(t, os.WriteFile(path, data, 0o755))
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), helperEnv+"="+socket)
	if uid > 0 {
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	go func() { _, _ = cmd.Process.Wait() }() // a zombie would count as alive to kill, not to a pidfd
	return cmd, in, bufio.NewReader(out)
}

// until waits for a state of the gateways.
func until(t *testing.T, h *hub.Hub, holds func([]hub.Status) bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(h.Gateways()); {
		if time.Now().After(deadline) {
			t.Fatalf("gateways %+v", h.Gateways())
		}
		_ = h.WaitAcked(now(), 0) // yields
	}
}

func TestRubbishIsCutOff(t *testing.T) {
	h, socket := open(t, hub.Config{MaxFrame: 1000})
	for name, bytes := range map[string][]byte{
		"no hello":       frame(`{"ack":{"version":1}}`),
		"no generation":  frame(`{"hello":{"pid":1}}`),
		"no JSON":        frame(`rubbish`),
		"over the limit": binary.BigEndian.AppendUint32(nil, 1001),
		"later rubbish":  append(frame(`{"hello":{"generation":"g"}}`), frame(`rubbish`)...),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("unix", socket)
			must(t, err)
			defer func() { _ = c.Close() }()
			_, err = c.Write(bytes)
			must(t, err)
			must(t, c.SetReadDeadline(time.Now().Add(limit)))
			if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Error("still connected")
			}
		})
	}
	until(t, h, func(all []hub.Status) bool { return len(all) == 0 })
}

func frame(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// TestAcksAreOnlyForWhatWasSent has a gateway claim a version it never got.
func TestAcksAreOnlyForWhatWasSent(t *testing.T) {
	h, socket := open(t, hub.Config{})
	c, err := net.Dial("unix", socket)
	must(t, err)
	defer func() { _ = c.Close() }()
	must(t, wire.Write(c, &wire.Message{Hello: &wire.Hello{Generation: "g", Version: 1 << 62}}))
	must(t, wire.Write(c, &wire.Message{Ack: &wire.Ack{Version: 1 << 62}}))
	v := h.Publish(route.Table{})
	m, err := wire.Read(c, wire.DefaultMaxFrame)
	must(t, err)
	if err := h.WaitAcked(now(), v); err == nil {
		t.Error("a table counts as in use before its acknowledgement")
	}
	var sent route.Table
	must(t, json.Unmarshal(m.Table, &sent))
	must(t, wire.Write(c, &wire.Message{Ack: &wire.Ack{Version: sent.Version}}))
	must(t, h.WaitAcked(wait(t), v))
}

// TestOneTableInFlight publishes while a gateway has not answered: it is sent
// the newest one only, and only then.
func TestOneTableInFlight(t *testing.T) {
	h, socket := open(t, hub.Config{Interval: time.Nanosecond})
	slow := routetest.NewGateway(socket)
	slow.Hold()
	run(t, slow.Run)
	first := h.Publish(route.Table{})
	got, err := slow.Table(wait(t))
	must(t, err)
	if got.Version != first {
		t.Fatalf("version %d, want %d", got.Version, first)
	}
	var last uint64
	for range 100 {
		last = h.Publish(route.Table{})
	}
	if got, _ := slow.Table(wait(t)); got.Version != first {
		t.Errorf("version %d was sent before %d was answered", got.Version, first)
	}
	slow.Release()
	must(t, h.WaitAcked(wait(t), last))
	if got, _ := slow.Table(wait(t)); got.Version != last {
		t.Errorf("version %d, want %d", got.Version, last)
	}
}

func TestNothingIsSettledAtOnce(t *testing.T) {
	h, socket := open(t, hub.Config{Settle: time.Hour})
	run(t, routetest.NewGateway(socket).Run)
	v := h.Publish(route.Table{})
	until(t, h, func(all []hub.Status) bool { return len(all) == 1 && all[0].Version == v })
	if err := h.WaitAcked(now(), v); err == nil || !strings.Contains(err.Error(), "begun to dial") {
		t.Errorf("WaitAcked = %v, want it to wait for gateways that have not dialed yet", err)
	}
}

func TestLatest(t *testing.T) {
	h := hub.New(hub.Config{}, slog.New(slog.DiscardHandler))
	if _, ok := h.Latest(); ok {
		t.Error("there is a table before the first")
	}
	v := h.Publish(route.Table{Boot: "b"})
	if got, ok := h.Latest(); !ok || got.Version != v || got.Boot != "b" || got.Written.IsZero() {
		t.Errorf("Latest = %+v", got)
	}
	if again := h.Publish(route.Table{}); again <= v {
		t.Errorf("version %d after %d", again, v)
	}
}

func BenchmarkPublish(b *testing.B) {
	t := route.Table{}
	for i := range 10_000 {
		g := route.Group{ID: fmt.Sprint("g", i), Name: "shop-v001", Weight: 100}
		for j := range 5 {
			g.Instances = append(g.Instances, route.Instance{ID: fmt.Sprint("i", i, "-", j), Address: "10.64.0.1:8080", Index: j})
		}
		t.Routes = append(t.Routes, route.Entry{ID: fmt.Sprint("r", i), Host: fmt.Sprintf("app-%d.test", i), Path: "/", Groups: []route.Group{g}})
	}
	socket := filepath.Join(b.TempDir(), "s")
	ln, err := hub.Listen(socket, 0)
	must(b, err)
	h := hub.New(hub.Config{Settle: 1, Interval: 1}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- h.Run(ctx, ln) }()
	go func() { done <- routetest.NewGateway(socket).Run(ctx) }()
	for b.Loop() {
		must(b, h.WaitAcked(ctx, h.Publish(t)))
	}
	cancel()
	must(b, <-done)
	must(b, <-done)
}
