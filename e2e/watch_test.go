package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// visitor asks an app all the time, one request after the other, each on a
// connection of its own.
type visitor struct {
	stop context.CancelFunc
	done chan struct{}

	mu       sync.Mutex // guards what follows
	asked    int
	refused  int     // connections refused
	failures []error // answers that were not 200, or never came
}

// watch visits an app until the test ends.
func (p *platform) watch(t *testing.T, app string) *visitor {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	v := &visitor{stop: stop, done: make(chan struct{})}
	client := p.visitors()
	go func() {
		defer close(v.done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := ask(ctx, client, app)
			if ctx.Err() != nil {
				return
			}
			v.note(err)
		}
	}()
	t.Cleanup(v.end)
	return v
}

func ask(ctx context.Context, client *http.Client, app string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+app+".localhost/", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

func (v *visitor) note(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	if err == nil {
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		v.refused++
	}
	v.failures = append(v.failures, fmt.Errorf("%s: %w", time.Now().UTC().Format("15:04:05.000"), err))
}

func (v *visitor) end() {
	v.stop()
	<-v.done
}

// count returns how many requests failed so far.
func (v *visitor) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.failures)
}

// flawless ends the visits, of which none may have failed.
func (v *visitor) flawless(t testing.TB) {
	t.Helper()
	v.atMost(t, 0)
}

// atMost ends the visits; so many may have failed, no connection refused.
func (v *visitor) atMost(t testing.TB, failures int) {
	t.Helper()
	v.end()
	v.mu.Lock()
	defer v.mu.Unlock()
	t.Logf("%d visits, %d failed, %d connections refused", v.asked, len(v.failures), v.refused)
	if v.refused > 0 {
		t.Errorf("%d connections were refused", v.refused)
	}
	if v.asked == 0 {
		t.Error("nobody visited")
	}
	if len(v.failures) > failures {
		t.Errorf("%d visits failed, at most %d may: %v", len(v.failures), failures, v.failures[:min(10, len(v.failures))])
	}
}
