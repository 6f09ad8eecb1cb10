package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// flaw is a way to be a bad release, and what becomes of one.
type flaw struct {
	name   string
	runs   int           // of the full form
	failed int           // requests that may fail in any run
	within time.Duration // from the first bad request until no more are sent to it
	says   []string      // one of these is the reason the command gives
	why    []string      // and one of these what naru why says
	push   []string      // how it is pushed beside --strategy canary
	serves bool          // visitors reach it
	fine   bool          // and see nothing bad
	rules  []string      // of the route
}

func flaws() []flaw {
	return []flaw{
		{name: "errors", runs: 50, failed: 20, within: time.Second, says: []string{"errors: "}, serves: true,
			why: []string{" requests failed ("}},
		{name: "lies", runs: 20, failed: 20, within: time.Second, says: []string{"errors: "}, serves: true,
			why: []string{"because its health check (GET /health) says that all is well, and yet ", " requests failed ("}},
		{name: "slow", runs: 20, failed: 0, within: 4 * time.Second, says: []string{"latency: "}, serves: true,
			why: []string{"because it is too slow: "}},
		{name: "crash", runs: 20, failed: 5, within: time.Second, says: []string{"instance 0: exit 3", "errors: "}, serves: true,
			why: []string{"because its instances crash under traffic (exit 3", " requests failed ("}},
		{name: "never", runs: 5, failed: 0, says: []string{"not healthy after 3s"}, push: []string{"--start-timeout", "3s"},
			why: []string{"because it never became healthy: after 3s its health check still said: "}},
		{name: "unwell", runs: 5, failed: 0, says: []string{"health: 0 of 1 of its instances pass the gateway's health check (GET /up: status 503), 2 of 2 of what ran before"},
			why:    []string{"because its instances do not pass the check that the gateway makes (GET /up: status 503): 0 of 1 pass"},
			serves: true, fine: true, rules: []string{"health=/up", "health.every=1s", "health.timeout=1s", "health.fails=2"}},
	}
}

// canaryShare of visits, and visits so that the canary gets 50 a second.
const (
	canaryShare = 20
	visits      = 50 * 100 / canaryShare
)

// Bad releases are pushed as canaries. The gateway takes their traffic away, with
// and without a control plane, the rollout goes back by itself, and the command
// says why.
func TestBadReleases(t *testing.T) {
	slow(t)
	p := start(t)
	dir := compiled(t, "steady")
	p.admin.do(t, "push", "judged", "--path", dir, "--instances", "2", "--memory", "64M", "--env", "RELEASE=good", "--env", "WORK_MS=20",
		"--health-check", "http", "--health-path", "/health")
	c := p.crowd(t, "judged")
	for _, f := range flaws() {
		if len(f.rules) > 0 {
			p.admin.do(t, append([]string{"route", "set", "judged"}, f.rules...)...)
		}
		for _, dead := range []bool{false, true} {
			name := f.name
			if dead {
				name += " without a control plane"
			}
			t.Run(name, func(t *testing.T) {
				runs := 1
				if os.Getenv("NARU_FULL") != "" {
					runs = f.runs
				}
				var all []fate
				for range runs {
					all = append(all, p.bad(t, c, dir, f, dead))
				}
				f.judge(t, all)
			})
		}
	}
	p.says(t, "judged", "/", "steady good")
	changed := p.admin.do(t, "what-changed", "judged", "--since", "1h")
	for _, kind := range []string{" release ", " trip ", " back "} {
		mustSay(t, changed, kind)
	}
	p.admin.do(t, "delete", "judged", "--yes")
}

// fate is what became of one bad release.
type fate struct {
	failed, served int           // requests that failed, requests sent to it
	within         time.Duration // from its first bad request until the last one sent to it
	back           time.Duration // until the command had ended and nothing of it was left
}

func (f flaw) judge(t *testing.T, all []fate) {
	t.Helper()
	var failed, served []int
	var within, back []time.Duration
	for _, one := range all {
		failed, served = append(failed, one.failed), append(served, one.served)
		within, back = append(within, one.within), append(back, one.back)
	}
	slices.Sort(failed)
	slices.Sort(served)
	slices.Sort(within)
	slices.Sort(back)
	mid, last := len(all)/2, len(all)-1
	t.Logf("%d runs: failed median %d, most %d; sent to it median %d, most %d; gone within median %s, most %s; back after median %s, most %s",
		len(all), failed[mid], failed[last], served[mid], served[last], within[mid].Round(time.Millisecond), within[last].Round(time.Millisecond),
		back[mid].Round(time.Millisecond), back[last].Round(time.Millisecond))
	if failed[last] > f.failed {
		t.Errorf("%d requests failed, at most %d may", failed[last], f.failed)
	}
	allowed := f.within
	if os.Getenv("NARU_FULL") == "" {
		allowed *= 3 // a machine that others share stands still now and then
	}
	if within[last] > allowed {
		t.Errorf("it had traffic for %s, at most %s are allowed", within[last], allowed)
	}
}

// bad pushes one bad release and sees it leave.
func (p *platform) bad(t *testing.T, c *crowd, dir string, f flaw, dead bool) fate {
	t.Helper()
	after, pause := 0, "20s"
	if dead {
		// A second in which the control plane is stopped, and a step that is over
		// when it goes on: it must not go forward by what it remembers.
		after, pause = 50, "2s"
	}
	args := append([]string{"push", "judged", "--path", dir, "--env", "RELEASE=bad", "--env", "FLAW=" + f.name, "--env", fmt.Sprint("FLAW_AFTER=", after),
		"--strategy", "canary", "--steps", fmt.Sprintf("%d%%/%s", canaryShare, pause), "--keep-old", "1s"}, f.push...)
	c.forget()
	command, out := p.admin.command(args...), &output{}
	command.Stdout, command.Stderr = out, out
	began := time.Now()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if dead {
		p.withoutControl(t, c, f, out)
	}
	err := command.Wait()
	got := fate{back: time.Since(began)}
	if err == nil {
		t.Fatalf("it was taken for a good one:\n%s", out)
	}
	said := lastLines(out.String(), 3)
	mustSay(t, said, f.says...)
	mustSay(t, said, "what ran before keeps running")
	history := p.admin.do(t, "rollouts", "judged", "-n", "1")
	mustSay(t, history, "rolledback")
	mustSay(t, history, f.says...)
	why := p.admin.do(t, "why", "judged")
	mustSay(t, why, f.why...)
	mustSay(t, why, "went back after")
	t.Logf("why: %s", strings.SplitN(why, "\n", 2)[0])
	got.failed, got.served, got.within = c.about(t, f)
	t.Logf("%d failed of %d sent to it, gone within %s, back after %s: %s", got.failed, got.served,
		got.within.Round(time.Millisecond), got.back.Round(time.Millisecond), strings.SplitN(said, "\n", 2)[0])
	return got
}

// withoutControl stops the control plane as soon as the release has visitors,
// until it has none any more.
func (p *platform) withoutControl(t *testing.T, c *crowd, f flaw, out *output) {
	t.Helper()
	server := p.pid(t, "naru", "server")
	if !f.serves {
		eventually(t, 30*time.Second, "the release is started", func() error {
			if !strings.Contains(out.String(), "0 of ") {
				return errorText(out.String())
			}
			return nil
		})
		p.kill(t, "naru", "server")
		return
	}
	eventually(t, 30*time.Second, "the release has visitors", func() error {
		if n, _ := c.bad(); n == 0 {
			return errorText(out.String())
		}
		return nil
	})
	// It is fine for a second, and bad from then on.
	tripped := p.trips(t)
	if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Kill(server, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}()
	if f.fine { // what the gateway found out it keeps for its next process
		eventually(t, 60*time.Second, "the guard trips", func() error {
			if now := p.trips(t); now == tripped {
				return errorText(now)
			}
			return nil
		})
	}
	eventually(t, 30*time.Second, "the release has no visitors any more", func() error {
		if n, last := c.bad(); n < 40 || time.Since(last) < time.Second {
			return fmt.Errorf("%d, the last %s ago", n, time.Since(last))
		}
		return nil
	})
}

// trips is what the gateway keeps of guards that tripped.
func (p *platform) trips(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.data(), "gateway", "table.json.trips"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// seen is one visit.
type seen struct {
	began   time.Time
	took    time.Duration
	release string // "good", "bad", or "" where nobody says
	failure error
}

// crowd visits an app at a fixed rate, however long answers take.
type crowd struct {
	client *http.Client
	url    string

	mu  sync.Mutex // guards what follows
	all []seen
}

func (p *platform) crowd(t *testing.T, app string) *crowd {
	t.Helper()
	return p.crowdOf(t, app, visits)
}

// crowdOf is a crowd of so many a second.
func (p *platform) crowdOf(t *testing.T, app string, perSecond int) *crowd {
	t.Helper()
	c := &crowd{url: "http://" + app + ".localhost/", client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.apps)
		},
		MaxIdleConnsPerHost: 100,
	}}}
	ctx, stop := context.WithCancel(t.Context())
	var visitors sync.WaitGroup
	visitors.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				visitors.Go(c.visit)
			}
		}
	})
	t.Cleanup(func() {
		stop()
		visitors.Wait()
		c.client.CloseIdleConnections()
	})
	return c
}

func (c *crowd) visit() {
	one := seen{began: time.Now()}
	res, err := c.client.Get(c.url)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch {
		case strings.HasPrefix(string(body), "steady good"):
			one.release = "good"
		case strings.HasPrefix(string(body), "steady bad"):
			one.release = "bad"
		}
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", res.Status, lastLines(string(body), 2))
		}
	}
	one.took, one.failure = time.Since(one.began), err
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
}

func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = nil
}

// bad returns how many visits the bad release had, and when the last one began.
func (c *crowd) bad() (n int, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.all {
		if one.release == "bad" || one.failure != nil {
			n++
			if one.began.After(last) {
				last = one.began
			}
		}
	}
	return n, last
}

// about says what visitors had of a bad release.
func (c *crowd) about(t *testing.T, f flaw) (failed, served int, within time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var first, last time.Time
	for _, one := range c.all {
		if one.failure != nil {
			failed++
			if !f.serves || one.release == "good" {
				t.Errorf("a visit failed: %v", one.failure)
			}
		}
		if one.release != "bad" && one.failure == nil {
			continue
		}
		served++
		bad := one.failure != nil || f.name == "slow" && one.took >= 100*time.Millisecond
		if bad && (first.IsZero() || one.began.Before(first)) {
			first = one.began
		}
		if one.began.After(last) {
			last = one.began
		}
	}
	if f.serves && !f.fine && f.name != "crash" && first.IsZero() { // a request that met the crash is sent elsewhere
		t.Errorf("nobody noticed that it is bad: %d visits", served)
	}
	if !first.IsZero() {
		within = last.Sub(first)
	}
	return failed, served, within
}
