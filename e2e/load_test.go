package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// kind of visitor.
type kind string

// The kinds. None of them tries anything twice, as net/http would without
// telling.
const (
	kept   kind = "keep-alive"
	fresh  kind = "new connection"
	slowly kind = "slow, 2 s"
	posted kind = "POST, echoed"
	webs   kind = "WebSocket"
)

// load is visitors of an app who come all the time until it is ended.
type load struct {
	addr, app string
	ctx       context.Context
	stop      context.CancelFunc
	visitors  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	asked    map[kind]int
	took     []uint32 // microseconds, of what is not slow on purpose
	sockets  int      // WebSockets that lived until their deadline
	messages int
	failures []error
}

// load begins visits of an app; socket is how long each WebSocket is to live.
func (p *platform) load(t testing.TB, app string, socket time.Duration) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{addr: p.apps, app: app, ctx: ctx, stop: stop, asked: map[kind]int{}}
	for range 8 {
		l.visitors.Go(func() { l.come(kept, 12*time.Millisecond, l.page) })
	}
	for range 2 {
		l.visitors.Go(func() { l.come(fresh, 15*time.Millisecond, l.page) })
		l.visitors.Go(func() { l.come(slowly, 100*time.Millisecond, l.slow) })
	}
	for i := range 2 {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		l.visitors.Go(func() { l.come(posted, 20*time.Millisecond, func(c *caller) error { return l.post(c, random) }) })
	}
	l.visitors.Go(func() { l.socket(socket) })
	t.Cleanup(l.end)
	return l
}

// come has one visitor ask again and again, not more often than every so often.
func (l *load) come(k kind, every time.Duration, ask func(*caller) error) {
	c := &caller{addr: l.addr, host: l.app + ".localhost"}
	defer c.hangUp()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		err := ask(c)
		took := time.Since(began)
		l.mu.Lock()
		l.asked[k]++
		if err == nil && k != slowly {
			l.took = append(l.took, uint32(took.Microseconds()))
		}
		if err != nil {
			l.failed(k, began, err)
		}
		l.mu.Unlock()
		if err != nil || k == fresh {
			c.hangUp()
		}
	}
}

// failed notes a failure. The caller holds the lock.
func (l *load) failed(k kind, began time.Time, err error) {
	l.failures = append(l.failures, fmt.Errorf("%s, %s after %s: %w", k,
		time.Now().UTC().Format("15:04:05.000"), time.Since(began).Round(time.Millisecond), err))
}

func (l *load) page(c *caller) error {
	body, err := c.ask("GET", "/", nil, false)
	if err == nil && !bytes.HasPrefix(body, []byte("steady ")) {
		err = fmt.Errorf("it says %q", body)
	}
	return err
}

func (l *load) slow(c *caller) error {
	body, err := c.ask("GET", "/slow?for=2s", nil, false)
	if err == nil && string(body) != "slow" {
		err = fmt.Errorf("it says %q", body)
	}
	return err
}

func (l *load) post(c *caller, random *rand.Rand) error {
	sent := make([]byte, 1+random.IntN(16<<10))
	for i := range sent {
		sent[i] = byte(random.Uint32())
	}
	got, err := c.ask("POST", "/echo", sent, random.IntN(2) == 0)
	if err == nil && !bytes.Equal(got, sent) {
		err = fmt.Errorf("of %d bytes %d others came back", len(sent), len(got))
	}
	return err
}

// socket keeps one WebSocket after the other in use, each until its deadline.
func (l *load) socket(life time.Duration) {
	for l.ctx.Err() == nil {
		began := time.Now()
		messages, err := l.oneSocket(life)
		l.mu.Lock()
		l.asked[webs]++
		l.messages += messages
		switch {
		case err == nil:
			l.sockets++
		case l.ctx.Err() == nil:
			l.failed(webs, began, err)
		}
		l.mu.Unlock()
	}
}

func (l *load) oneSocket(life time.Duration) (messages int, err error) {
	ctx, stop := context.WithTimeout(l.ctx, life+20*time.Second) // an echo that never comes
	defer stop()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.addr)
	}}}
	c, _, err := websocket.Dial(ctx, "ws://"+l.app+".localhost/socket", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.CloseNow() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(life)
	for {
		select {
		case <-ctx.Done():
			return messages, ctx.Err()
		case <-deadline:
			return messages, c.Close(websocket.StatusNormalClosure, "") // answered, or it is an error
		case <-tick.C:
		}
		text := []byte(time.Now().String())
		if err := c.Write(ctx, websocket.MessageText, text); err != nil {
			return messages, err
		}
		_, got, err := c.Read(ctx)
		if err != nil {
			return messages, err
		}
		if !bytes.Equal(got, text) {
			return messages, fmt.Errorf("of %q came back %q", text, got)
		}
		messages++
	}
}

// caller is one visitor's HTTP/1.1 connection. Every error is one: it never asks
// again, and a connection that ends without having said so is an error, too.
type caller struct {
	addr, host string
	conn       net.Conn
	in         *bufio.Reader
}

// ask sends one request and returns the body of its answer, which must be a 200.
func (c *caller) ask(method, path string, body []byte, chunked bool) ([]byte, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.addr, 10*time.Second)
		if err != nil {
			return nil, err
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, c.host)
	switch {
	case body == nil:
		out.WriteString("\r\n")
	case chunked:
		half := len(body) / 2
		fmt.Fprintf(&out, "Transfer-Encoding: chunked\r\n\r\n")
		for _, part := range [][]byte{body[:half], body[half:]} {
			if len(part) > 0 {
				fmt.Fprintf(&out, "%x\r\n%s\r\n", len(part), part)
			}
		}
		out.WriteString("0\r\n\r\n")
	default:
		fmt.Fprintf(&out, "Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	if _, err := c.conn.Write(out.Bytes()); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer's body: %w", err)
	}
	if res.Close {
		c.hangUp()
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status + ": " + lastLines(string(got), 3))
	}
	return got, nil
}

func (c *caller) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// end ends the visits. What is on its way is finished first.
func (l *load) end() {
	l.stop()
	l.visitors.Wait()
}

// count returns how many requests were made and how many failed so far.
func (l *load) count() (asked, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.asked {
		asked += n
	}
	return asked, len(l.failures)
}

func (l *load) fewerThan(requests int) bool {
	asked, _ := l.count()
	return asked < requests
}

// flawless ends the visits, of which none may have failed, and prints what there
// was.
func (l *load) flawless(t testing.TB) {
	t.Helper()
	l.end()
	total, failed := l.count()
	slices.Sort(l.took)
	at := func(share float64) time.Duration {
		if len(l.took) == 0 {
			return 0
		}
		return time.Duration(l.took[int(share*float64(len(l.took)-1))]) * time.Microsecond
	}
	t.Logf("%d requests, %d failed; %d WebSockets lived until their deadline with %d messages", total, failed, l.sockets, l.messages)
	for _, k := range []kind{kept, fresh, slowly, posted, webs} {
		t.Logf("  %8d  %s", l.asked[k], k)
		if l.asked[k] == 0 {
			t.Errorf("nobody came: %s", k)
		}
	}
	t.Logf("p50 %s, p99 %s, p99.9 %s, longest %s", at(0.5), at(0.99), at(0.999), at(1))
	for _, err := range l.failures[:min(30, len(l.failures))] {
		t.Errorf("failed: %v", err)
	}
	if failed > 30 {
		t.Errorf("and %d more failed", failed-30)
	}
}
