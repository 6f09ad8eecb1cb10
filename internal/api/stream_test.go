package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/operation"
	"naru/internal/run"
)

// breaking is a proxy in front of the API that cuts streams off.
type breaking struct {
	*httptest.Server
	cuts  atomic.Int64 // connections still to be cut after a line
	asked atomic.Int64 // streams that were asked for
}

func newBreaking(t *testing.T, target string) *breaking {
	t.Helper()
	u, err := url.Parse(target)
	must(t, err)
	b := &breaking{}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.FlushInterval = -1
	proxy.ErrorLog = nil
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("follow") == "" {
			proxy.ServeHTTP(w, r)
			return
		}
		b.asked.Add(1)
		if b.cuts.Add(-1) < 0 {
			proxy.ServeHTTP(w, r)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, target+r.URL.RequestURI(), nil)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		req.Header = r.Header
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer res.Body.Close() //nolint:errcheck // it is being broken off
		buf := make([]byte, 1)
		for buf[0] != '\n' { // one line, then the line goes dead
			if _, err := io.ReadFull(res.Body, buf); err != nil {
				break
			}
			_, _ = w.Write(buf)
		}
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(b.Close)
	return b
}

// take moves the oldest operation to running.
func (w *world) take() operation.Operation {
	w.t.Helper()
	op, ok, err := w.store.TakeOperation(w.t.Context())
	must(w.t, err)
	if !ok {
		w.t.Fatal("no operation is queued")
	}
	return op
}

func (w *world) report(op operation.ID, texts ...string) {
	w.t.Helper()
	lines := []operation.Progress{}
	for _, text := range texts {
		lines = append(lines, operation.Progress{Time: time.Now(), Step: "build", Status: operation.StepLog, Text: text})
	}
	must(w.t, w.store.ReportOperation(w.t.Context(), op, nil, lines))
}

func TestProgressIsFollowedOverBrokenConnections(t *testing.T) {
	w := newWorld(t, api.Config{Heartbeat: 20 * time.Millisecond})
	b := newBreaking(t, w.url)
	c, err := client.New(b.URL, client.Options{Session: client.Static(w.token("root"))})
	must(t, err)
	w.app("shop")
	started, err := c.In("", "").App("shop").Start(t.Context())
	must(t, err)
	op := w.take()
	w.report(op.ID, "one", "two", "three")
	b.cuts.Store(2)
	var got []string
	end, err := c.Follow(t.Context(), started.ID, func(p client.Progress) {
		got = append(got, p.Text)
		switch p.Text {
		case "three":
			w.report(op.ID, "four")
		case "four":
			why := fault.New(fault.Failed, "", "exit 1").WithTry("look at the log")
			must(t, w.store.EndOperation(t.Context(), op.ID, operation.Failed, why, nil, []operation.Progress{{Step: "build", Status: operation.StepFailed, Text: "five"}}))
		}
	})
	must(t, err)
	if want := []string{"one", "two", "three", "four", "five"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if end.State != client.OperationFailed || !fault.Is(end.Err(), fault.Failed) || fault.Of(end.Err()).Try != "look at the log" {
		t.Errorf("end %+v, %v", end, end.Err())
	}
	if b.asked.Load() != 3 {
		t.Errorf("%d connections, want 3", b.asked.Load())
	}
}

func TestProgressWithoutFollowEnds(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.app("shop")
	o, err := w.dev("root").App("shop").Start(t.Context())
	must(t, err)
	w.report(w.take().ID, "one", "two")
	res := w.do("GET", "/v1/operations/"+o.ID+"/events?after=1", w.token("root"), "")
	text, err := io.ReadAll(res.Body)
	must(t, err)
	if lines := strings.Count(string(text), "\n"); lines != 1 || !strings.Contains(string(text), `"two"`) {
		t.Errorf("lines after 1: %s", text)
	}
}

func TestClientGivesUpAfterItsPatience(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close()) // nobody listens there now
	var waits int
	c, err := client.New("http://"+addr, client.Options{Patience: 300 * time.Millisecond, Waiting: func(error, time.Duration) { waits++ }})
	must(t, err)
	_, err = c.Follow(t.Context(), "x", nil)
	if !fault.Is(err, fault.Unavailable) || waits == 0 || fault.Of(err).Try == "" {
		t.Errorf("err = %v after %d waits", err, waits)
	}
}

// logLine is a line of the app.
func logLine(w *world, text string) logs.Line {
	a, err := w.store.AppNamed(w.t.Context(), w.space.ID, "shop")
	must(w.t, err)
	return logs.Line{Time: time.Now(), App: a.ID, Source: logs.App, Process: "web", Instance: "i", Stream: "stdout", Text: text}
}

func TestLogsAreFollowedWithoutGapOrRepeat(t *testing.T) {
	w := newWorld(t, api.Config{Heartbeat: 20 * time.Millisecond})
	b := newBreaking(t, w.url)
	c, err := client.New(b.URL, client.Options{Session: client.Static(w.token("root"))})
	must(t, err)
	w.app("shop")
	for i := range 5 {
		must(t, w.book.Append(t.Context(), []logs.Line{logLine(w, fmt.Sprint("old ", i))}, nil))
	}
	b.cuts.Store(3)
	var got []string
	for l, err := range c.In("", "").App("shop").Logs(t.Context(), client.LogQuery{Follow: true, Tail: 3, Instance: -1}) {
		must(t, err)
		got = append(got, l.Text)
		if l.Text == "old 4" {
			must(t, w.book.Append(t.Context(), []logs.Line{logLine(w, "new 0"), logLine(w, "new 1")}, nil))
		}
		if l.Text == "new 1" {
			break
		}
	}
	if want := []string{"old 2", "old 3", "old 4", "new 0", "new 1"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if b.asked.Load() != 4 {
		t.Errorf("%d connections, want 4", b.asked.Load())
	}
}

func TestLogsOfOneTime(t *testing.T) {
	w := newWorld(t, api.Config{LogTail: 2})
	w.app("shop")
	before := time.Now()
	for i := range 4 {
		must(t, w.book.Append(t.Context(), []logs.Line{logLine(w, fmt.Sprint(i))}, nil))
	}
	shop := w.dev("root").App("shop")
	for name, tc := range map[string]struct {
		q    client.LogQuery
		want string
	}{
		"as many as usual": {client.LogQuery{Instance: -1}, "23"},
		"as many as asked": {client.LogQuery{Tail: 3, Instance: -1}, "123"},
		"none":             {client.LogQuery{Tail: -1, Instance: -1}, ""},
		"all since":        {client.LogQuery{Since: before, Instance: -1}, "0123"},
		"another process":  {client.LogQuery{Process: "worker", Instance: -1}, ""},
		"another instance": {client.LogQuery{Instance: 3}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for l, err := range shop.Logs(t.Context(), tc.q) {
				must(t, err)
				got += l.Text
			}
			if got != tc.want {
				t.Errorf("lines %q, want %q", got, tc.want)
			}
		})
	}
}

func TestLogsAreSearched(t *testing.T) {
	w := newWorld(t, api.Config{LogSearch: 1 << 20})
	w.app("shop")
	shop := w.dev("root").App("shop")
	read := func(q client.LogQuery) (texts, notes []string) {
		t.Helper()
		q.Instance = -1
		for l, err := range shop.Logs(t.Context(), q) {
			must(t, err)
			if l.Note != "" {
				notes = append(notes, l.Note)
			} else {
				texts = append(texts, l.Text)
			}
		}
		return texts, notes
	}
	must(t, w.book.Append(t.Context(), []logs.Line{logLine(w, `{"status":500,"path":"/cart"}`), logLine(w, `{"status":200}`), logLine(w, "cart is full")}, nil))
	for ask, want := range map[string]int{"cart": 2, "status>=500": 1, "cart NOT status=500": 1, "process=web": 3, "gone": 0} {
		if texts, notes := read(client.LogQuery{Search: ask}); len(texts) != want || notes != nil {
			t.Errorf("%s: %q, notes %q", ask, texts, notes)
		}
	}
	if texts, _ := read(client.LogQuery{Until: time.Now().Add(-time.Hour)}); texts != nil {
		t.Errorf("an hour ago was %q", texts)
	}

	// More than may be looked through: the stream says where it stopped.
	for range 5 {
		must(t, w.book.Append(t.Context(), []logs.Line{logLine(w, strings.Repeat("much ", 120_000))}, nil))
	}
	texts, notes := read(client.LogQuery{Search: "cart*"}) // a beginning: no filter helps
	if len(texts) != 0 || len(notes) != 1 || !strings.Contains(notes[0], "1 MiB") || !strings.Contains(notes[0], "logs.search") {
		t.Errorf("from the end: %q, notes %q", texts, notes)
	}
	texts, notes = read(client.LogQuery{Search: "cart*", Since: time.Now().Add(-time.Hour)})
	if len(texts) != 2 || len(notes) != 1 || !strings.Contains(notes[0], "cursor 20") {
		t.Errorf("from the beginning: %d lines, notes %q", len(texts), notes)
	}

	for name, q := range map[string]client.LogQuery{
		"search": {Search: "(", Instance: -1},
		"until":  {Follow: true, Until: time.Now(), Instance: -1},
	} {
		for _, err := range shop.Logs(t.Context(), q) {
			if e := fault.Of(err); e == nil || e.Kind != fault.Invalid || e.Field != name {
				t.Errorf("bad %s: %v", name, err)
			}
			break
		}
	}
}

func TestExecCarriesBytesSizesAndExitCode(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.app("shop")
	big := bytes.Repeat([]byte("0123456789abcdef"), 640<<10) // 10 MiB
	w.pipe.attach = func(std run.IO) (int, error) {
		if size := <-std.Resize; size != (run.Size{Columns: 80, Rows: 24}) {
			return 0, fmt.Errorf("size %v", size)
		}
		if _, err := std.Stderr.Write([]byte("to err")); err != nil {
			return 0, err
		}
		_, err := io.Copy(std.Stdout, std.Stdin) // until half-close
		return 42, err
	}
	resize := make(chan client.Size, 1)
	resize <- client.Size{Columns: 80, Rows: 24}
	var out, errs bytes.Buffer
	code, err := w.dev("root").App("shop").Exec(t.Context(), client.Exec{Command: []string{"cat", "-"}, Index: 1, TTY: true},
		client.IO{Stdin: bytes.NewReader(big), Stdout: &out, Stderr: &errs, Resize: resize})
	if code != 42 || err != nil {
		t.Fatalf("exit %d, %v", code, err)
	}
	if !bytes.Equal(out.Bytes(), big) || errs.String() != "to err" {
		t.Errorf("%d bytes came back of %d, stderr %q", out.Len(), len(big), errs.String())
	}
	w.pipe.mu.Lock()
	defer w.pipe.mu.Unlock()
	if got := fmt.Sprint(w.pipe.asked[len(w.pipe.asked)-1]); got != "[web 1 [cat -] true]" {
		t.Errorf("asked %s", got)
	}
}

func TestCommandThatNeverReadsItsInputEnds(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.app("shop")
	w.pipe.attach = func(run.IO) (int, error) { return 7, nil }
	code, err := w.dev("root").App("shop").Exec(t.Context(), client.Exec{}, client.IO{Stdin: bytes.NewReader(make([]byte, 4<<20))})
	if code != 7 || err != nil {
		t.Errorf("exit %d, %v", code, err)
	}
}

func TestAttachSaysWhyACommandDidNotRun(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.app("shop")
	w.pipe.attach = func(run.IO) (int, error) {
		return 0, fault.New(fault.Failed, "command", "there is no lss in the image").WithTry("ls")
	}
	shop := w.dev("root").App("shop")
	task, err := shop.RunTask(t.Context(), client.NewTask{Command: []string{"lss"}, Attach: true})
	must(t, err)
	_, err = shop.Attach(t.Context(), fmt.Sprint(task.Number), client.IO{})
	if !fault.Is(err, fault.Failed) || fault.Of(err).Try != "ls" {
		t.Errorf("err = %v", err)
	}
	_, err = shop.CancelTask(t.Context(), task.ID)
	must(t, err)
	if _, err = shop.Attach(t.Context(), task.ID, client.IO{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("attach to what has ended: %v", err)
	}
}

func TestLeavingKillsTheCommand(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.app("shop")
	running, gone := make(chan struct{}), make(chan error, 1)
	w.pipe.attach = func(std run.IO) (int, error) {
		close(running)
		_, err := std.Stdin.Read(make([]byte, 1))
		gone <- err
		return 0, err
	}
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-running
		leave()
	}()
	hold, _ := io.Pipe() // an input that never ends
	if _, err := w.dev("root").App("shop").Exec(ctx, client.Exec{}, client.IO{Stdin: hold}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if err := <-gone; err == nil {
		t.Error("the command still has its input")
	}
}
