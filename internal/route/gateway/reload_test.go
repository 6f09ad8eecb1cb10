package gateway_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestReloadLosesNothing replaces the gateway process again and again under
// load, each time the new one before the old one, on the same socket.
func TestReloadLosesNothing(t *testing.T) {
	s := hold(t)
	old := spawn(t, s.table, s.file)
	load := s.load(t, 8)
	const reloads = 10
	for range reloads {
		load.more(t, 300)
		next := spawn(t, s.table, s.file)
		must(t, old.Process.Signal(syscall.SIGTERM))
		load.more(t, 300)
		must(t, <-old.done)
		old = next
	}
	ok, failed := load.stop()
	t.Logf("%d reloads, %d requests, %d failed", reloads, ok, len(failed))
	for _, err := range failed {
		t.Errorf("failed: %v", err)
	}
}

// TestKillRefusesNoConnection kills the gateway while the socket is held: no
// connection is refused, and only requests in flight are lost.
func TestKillRefusesNoConnection(t *testing.T) {
	s := hold(t)
	const kills, workers = 5, 8
	p := spawn(t, s.table, s.file)
	load := s.load(t, workers)
	for range kills {
		load.more(t, 300)
		must(t, p.Process.Kill())
		<-p.done
		p = spawn(t, s.table, s.file)
	}
	load.more(t, 300)
	ok, failed := load.stop()
	t.Logf("%d kills, %d requests, %d failed", kills, ok, len(failed))
	if len(failed) > kills*workers {
		t.Errorf("%d requests failed, more than were in flight", len(failed))
	}
	for _, err := range failed {
		if errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("refused: %v", err)
		}
	}
}

// held is a listening socket that outlives gateways, as the supervisor's does.
type held struct {
	file  *os.File
	addr  string
	table string
}

func hold(t *testing.T) *held {
	t.Helper()
	app := listen(t)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})}
	go func() { _ = srv.Serve(app) }()
	t.Cleanup(func() { _ = srv.Close() })
	ln, ok := listen(t).(*net.TCPListener)
	if !ok {
		t.Fatal("not TCP")
	}
	file, err := ln.File()
	must(t, err)
	t.Cleanup(func() { _ = file.Close() })
	s := &held{file: file, addr: ln.Addr().String(), table: filepath.Join(t.TempDir(), "table.json")}
	must(t, ln.Close()) // the file keeps it open
	writeTable(t, s.table, tableOf(app.Addr().String()))
	return s
}

// load is clients that send one request after the other on kept connections.
// None of them retries.
type load struct {
	ok      atomic.Int64
	ended   atomic.Bool
	workers sync.WaitGroup
	tick    chan struct{} // one per request
	mu      sync.Mutex
	failed  []error
}

func (s *held) load(t *testing.T, workers int) *load {
	l := &load{tick: make(chan struct{})}
	for range workers {
		l.workers.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			for !l.ended.Load() {
				if err := echo(client, s.addr); err != nil {
					l.mu.Lock()
					l.failed = append(l.failed, err)
					l.mu.Unlock()
				} else {
					l.ok.Add(1)
				}
				select {
				case l.tick <- struct{}{}:
				default:
				}
			}
		})
	}
	t.Cleanup(func() { l.stop() })
	return l
}

// more waits until n further requests have ended (some may go unnoticed).
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	for range n {
		<-l.tick
	}
}

func (l *load) stop() (int64, []error) {
	l.ended.Store(true)
	l.workers.Wait()
	return l.ok.Load(), l.failed
}

// echo sends a body that net/http cannot send twice, so that it cannot hide a
// failure by trying again.
func echo(client *http.Client, addr string) error {
	r, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, "hello")
		_ = w.CloseWithError(err)
	}()
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/", r)
	if err != nil {
		return err
	}
	req.Host = "shop.test"
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK || string(body) != "hello":
		return errors.New(res.Status + ": " + string(body))
	}
	return nil
}
