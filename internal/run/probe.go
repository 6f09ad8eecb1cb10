package run

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
)

// Listener tells what an instance listens on, for people whose app is not
// reached.
type Listener interface {
	Listening(ctx context.Context, id InstanceID) ([]netip.AddrPort, error)
}

// Target is what is probed, and how.
type Target struct {
	Instance   InstanceID
	Addr       string // "ip:port" where it is reached; "" without a port
	Port       int    // what it was told to listen on
	Health     app.Health
	Started    time.Time
	WasHealthy bool // it was healthy before, so its start timeout is over
}

// NeverHealthy is the error of an instance that did not become healthy in time.
type NeverHealthy struct{ Reason string }

// Error gives the reason.
func (e *NeverHealthy) Error() string { return e.Reason }

// startInterval is the wait between checks while an instance starts: short,
// because people wait for it.
const startInterval = 20 * time.Millisecond

// Probe checks an instance until ctx ends, and reports each change between
// healthy and not. It returns a *NeverHealthy when the start timeout passes
// without a success, report's error, or ctx's. A process check is healthy at once: that the
// process ends is seen by whoever waits for it.
func Probe(ctx context.Context, see Listener, t Target, report func(healthy bool) error) error {
	h := t.Health
	if h.Check == app.CheckProcess || t.Addr == "" {
		if !t.WasHealthy {
			if err := report(true); err != nil {
				return err
			}
		}
		<-ctx.Done()
		return ctx.Err()
	}
	check, done := checker(t)
	defer done()
	deadline := t.Started.Add(h.StartTimeout.Std())
	healthy, ever, failures := false, t.WasHealthy, 0
	for wait := time.Duration(0); ; {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		err := once(ctx, h.Timeout.Std(), check)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case err == nil:
			failures, wait = 0, h.Interval.Std()
			if !healthy || !ever {
				healthy, ever = true, true
				if err := report(true); err != nil {
					return err
				}
			}
		case !ever:
			if !time.Now().Before(deadline) {
				return &NeverHealthy{explain(ctx, see, t, err)}
			}
			wait = min(startInterval, time.Until(deadline))
		default:
			failures, wait = failures+1, min(h.Interval.Std(), time.Second)
			if failures == h.Failures {
				healthy = false
				if err := report(false); err != nil {
					return err
				}
			}
		}
	}
}

func once(ctx context.Context, timeout time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return check(ctx)
}

// checker returns the check of a target, and what frees it.
func checker(t Target) (check func(context.Context) error, done func()) {
	if t.Health.Check != app.CheckHTTP {
		return func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Addr)
			if err != nil {
				return err
			}
			return conn.Close()
		}, func() {}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Addr+t.Health.Path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "naru-health")
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // politeness: let it finish its answer
		if res.StatusCode >= 400 {
			return fmt.Errorf("GET %s answered %d", t.Health.Path, res.StatusCode)
		}
		return nil
	}, transport.CloseIdleConnections
}

// explain says why an instance counts as never healthy: what was expected, and
// what it does instead.
func explain(ctx context.Context, see Listener, t Target, last error) string {
	wait := t.Health.StartTimeout
	if t.Health.Check == app.CheckHTTP && strings.HasPrefix(last.Error(), "GET ") {
		return fmt.Sprintf("not healthy after %s: %s", wait, last)
	}
	text := fmt.Sprintf("not healthy after %s: nothing listens on port %d ($PORT)", wait, t.Port)
	addrs, err := see.Listening(ctx, t.Instance)
	switch {
	case err != nil:
		return text
	case len(addrs) == 0:
		return text + "; it listens on no port at all"
	}
	var names []string
	local := true
	for _, a := range addrs {
		names = append(names, a.String())
		local = local && a.Addr().IsLoopback()
	}
	if slices.ContainsFunc(addrs, func(a netip.AddrPort) bool { return int(a.Port()) == t.Port && !a.Addr().IsLoopback() }) {
		return fmt.Sprintf("not healthy after %s: it listens on port %d, but %s cannot be reached: %s", wait, t.Port, t.Addr, last)
	}
	text += "; it listens on " + strings.Join(names, ", ")
	if local {
		text += " only, which nobody outside of it reaches: listen on 0.0.0.0"
	}
	return text
}
