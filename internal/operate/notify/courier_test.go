package notify_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/fault"
	"naru/internal/operate/notify"
	"naru/internal/secret"
)

// desk is a receiver whose answers the test decides, and a keeper in memory.
type desk struct {
	mu    sync.Mutex
	fail  error
	hang  chan struct{} // not nil: Send waits until it is closed
	got   []notify.Message
	at    []time.Time
	tries int

	log  []notify.Delivery
	kept []byte
}

func (d *desk) Send(ctx context.Context, m notify.Message) error {
	d.mu.Lock()
	hang := d.hang
	d.tries++
	d.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.got, d.at = append(d.got, m), append(d.at, time.Now())
	return nil
}

func (d *desk) Save(_ context.Context, book []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = book
	return nil
}

func (d *desk) Delivered(_ context.Context, line notify.Delivery) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, line)
	return nil
}

func (d *desk) answers(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

// titles is what arrived, and how long after begin.
func (d *desk) titles(begin time.Time) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := []string{}
	for i, m := range d.got {
		out = append(out, d.at[i].Sub(begin).Round(time.Second).String()+" "+m.Title())
	}
	return out
}

func settings(receivers map[string]notify.Sender) notify.Settings {
	set := notify.Settings{Receivers: receivers, Timing: notify.DefaultTiming, Base: "https://naru.example.com"}
	set.Timing.Retry.Jitter = 0
	for name := range receivers {
		set.Routes = append(set.Routes, notify.Route{Receivers: []string{name}, By: []string{"app"}})
	}
	return set
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// run starts a courier in the bubble and stops it at the end of the test.
func run(t *testing.T, set notify.Settings, book *notify.Book, keep notify.Keeper) *notify.Courier {
	t.Helper()
	c := notify.New(set, book, keep, quiet())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func tell(t *testing.T, c *notify.Courier, a notify.Alert) {
	t.Helper()
	if err := c.Tell(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

func now(a notify.Alert) notify.Alert {
	a.Started = time.Now()
	return a
}

func over(a notify.Alert) notify.Alert {
	a.Ended = time.Now()
	return a
}

func expect(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAlertsOfAnAppAreToldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, begin := &desk{}, time.Now()
		c := run(t, settings(map[string]notify.Sender{"team": d}), notify.NewBook(), d)
		a, b, other := now(alert("profile", "shop", "page")), now(alert("cart", "shop", "ticket")), now(alert("profile", "blog", "page"))
		tell(t, c, a)
		tell(t, c, other)
		time.Sleep(20 * time.Second)
		tell(t, c, b)
		tell(t, c, b)                // the same again is no news
		time.Sleep(10 * time.Minute) // told at 30 s; nothing new
		tell(t, c, over(a))          // news after the interval: at once
		time.Sleep(time.Minute)
		tell(t, c, over(b)) // within the interval: waits
		time.Sleep(5 * time.Minute)
		tell(t, c, over(b)) // nobody remembers it
		time.Sleep(10 * time.Hour)
		expect(t, d.titles(begin), []string{
			"30s [FIRING:2] shop", "30s [FIRING:1] blog", "10m20s [FIRING:1] shop", "15m20s [RESOLVED] shop",
			"4h0m30s [FIRING:1] blog", "8h0m30s [FIRING:1] blog",
		})
		last := d.got[3]
		if len(last.Alerts) != 1 || last.Alerts[0].Name() != "cart" || last.Base == "" {
			t.Errorf("the last message was of %v", last.Alerts)
		}
		if got := d.got[2].Alerts; len(got) != 2 || got[0].Status() != notify.Firing || got[1].Status() != notify.Resolved {
			t.Errorf("what fires comes first: %v", got)
		}
	})
}

// A receiver that is away for an hour is told once what is so then, not of every
// step in between; what ended meanwhile is told as ended.
func TestReceiverDownForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		d := &desk{}
		var bodies []string
		down := true
		hook := notify.NewWebhook(&http.Client{Transport: handler(func(w http.ResponseWriter, r *http.Request) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if down {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			data, _ := io.ReadAll(r.Body)
			bodies = append(bodies, time.Since(begin).Round(time.Second).String()+" "+string(data))
		})}, secret.New("http://hooks.example.com/SECRET-PATH"), secret.Secret{})
		other := &desk{}
		c := run(t, settings(map[string]notify.Sender{"hook": hook, "mail": other}), notify.NewBook(), d)
		a, b := now(alert("profile", "shop", "page")), now(alert("cart", "shop", "page"))
		tell(t, c, a)
		time.Sleep(10 * time.Minute)
		tell(t, c, b)
		time.Sleep(10 * time.Minute)
		tell(t, c, over(a))
		time.Sleep(40 * time.Minute)
		d.mu.Lock()
		down = false
		d.mu.Unlock()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(bodies) != 1 || !strings.Contains(bodies[0], `"status":"resolved"`) || !strings.Contains(bodies[0], `"status":"firing"`) {
			t.Errorf("got %q", bodies)
		}
		if at, err := time.ParseDuration(strings.Fields(bodies[0])[0]); err != nil || at > time.Hour+5*time.Minute {
			t.Errorf("told after %s, %v", at, err)
		}
		expect(t, other.titles(begin), []string{"30s [FIRING:1] shop", "10m30s [FIRING:2] shop", "20m0s [FIRING:1] shop"})
		failed := 0
		for _, line := range d.log {
			if line.Receiver == "hook" && line.Error != "" {
				failed++
				if line.Try != failed || line.Final || strings.Contains(line.Error, "SECRET") {
					t.Errorf("try %d: %+v", failed, line)
				}
			}
		}
		// 5, 10, 20, 40, 80, 160 s, then every 5 min: 7 tries in the first 5.75 min, 11 more.
		if failed < 15 || failed > 20 {
			t.Errorf("%d tries in an hour", failed)
		}
	})
}

// handler answers requests without a network, which a bubble does not have.
type handler http.HandlerFunc

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, r)
	return w.Result(), nil
}

// A receiver that hangs holds up no other one.
func TestAHangingReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, fast, begin := &desk{hang: make(chan struct{})}, &desk{}, time.Now()
		c := run(t, settings(map[string]notify.Sender{"slow": slow, "fast": fast}), notify.NewBook(), fast)
		tell(t, c, now(alert("a", "shop", "page")))
		tell(t, c, now(alert("a", "blog", "page")))
		time.Sleep(time.Minute)
		synctest.Wait()
		if slow.tries != 1 {
			t.Errorf("%d messages on their way to one receiver", slow.tries)
		}
		close(slow.hang)
		time.Sleep(time.Minute)
		expect(t, fast.titles(begin), []string{"30s [FIRING:1] shop", "30s [FIRING:1] blog"})
		expect(t, slow.titles(begin), []string{"1m0s [FIRING:1] shop", "1m0s [FIRING:1] blog"})
	})
}

func TestWhatIsPermanentIsNotTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{fail: notify.Permanent(errors.New("404"))}
		c := run(t, settings(map[string]notify.Sender{"team": d}), notify.NewBook(), d)
		tell(t, c, now(alert("a", "shop", "page")))
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if d.tries != 1 || !d.log[0].Final {
			t.Errorf("%d tries, %+v", d.tries, d.log)
		}
		d.answers(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(d.got) != 1 {
			t.Errorf("it was not told when it is repeated: %d", len(d.got))
		}
	})
}

func TestSilences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, begin := &desk{}, time.Now()
		set := settings(map[string]notify.Sender{"team": d})
		c := run(t, set, notify.NewBook(), d)
		known, news := now(alert("profile", "shop", "page")), now(alert("cart", "shop", "page"))
		tell(t, c, known)
		time.Sleep(time.Minute) // told
		set.Silences = []notify.Silence{{Matchers: []notify.Matcher{{Label: "app", Op: "=", Value: "shop"}}, From: time.Now(), To: time.Now().Add(time.Hour)}}
		c.Set(t.Context(), set)
		tell(t, c, news) // held back
		time.Sleep(30 * time.Minute)
		tell(t, c, over(known)) // the end of what was told is told
		time.Sleep(45 * time.Minute)
		expect(t, d.titles(begin), []string{"30s [FIRING:1] shop", "31m0s [RESOLVED] shop", "1h1m0s [FIRING:1] shop"})
	})
}

func TestSilencesMatch(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	labels := map[string]string{"app": "shop", "severity": "page"}
	for name, tc := range map[string]struct {
		m    []notify.Matcher
		want bool
	}{
		"equal":         {[]notify.Matcher{{"app", "=", "shop"}}, true},
		"not equal":     {[]notify.Matcher{{"app", "!=", "shop"}}, false},
		"pattern":       {[]notify.Matcher{{"app", "=~", "sh.*|blog"}}, true},
		"whole pattern": {[]notify.Matcher{{"app", "=~", "ho"}}, false},
		"no pattern":    {[]notify.Matcher{{"severity", "!~", "t.*"}}, true},
		"all of them":   {[]notify.Matcher{{"app", "=", "shop"}, {"severity", "=", "ticket"}}, false},
		"missing":       {[]notify.Matcher{{"space", "=", ""}}, true},
		"none":          {nil, false},
		"broken":        {[]notify.Matcher{{"app", "=~", "("}}, false},
	} {
		s := notify.Silence{Matchers: tc.m, From: at, To: at.Add(time.Hour), Reason: "x"}
		if got := s.Covers(labels, at); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
		if s.Covers(labels, at.Add(-1)) || s.Covers(labels, at.Add(time.Hour)) {
			t.Errorf("%s: it covers another time", name)
		}
	}
	good := []notify.Matcher{{"app", "=", "shop"}}
	for name, s := range map[string]notify.Silence{
		"of everything": {From: at, To: at.Add(1), Reason: "x"}, "broken": {Matchers: []notify.Matcher{{"app", "=~", "("}}, From: at, To: at.Add(1), Reason: "x"},
		"backwards": {Matchers: good, From: at, To: at, Reason: "x"}, "for ever": {Matchers: good, From: at, To: at.AddDate(1, 0, 0), Reason: "x"},
		"no reason": {Matchers: good, From: at, To: at.Add(1)}, "no operator": {Matchers: []notify.Matcher{{"app", "~", "x"}}, From: at, To: at.Add(1), Reason: "x"},
	} {
		if err := s.Check("silence"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (notify.Silence{Matchers: good, From: at, To: at.Add(time.Hour), Reason: "x"}).Check("silence"); err != nil {
		t.Error(err)
	}
}

// Killed at any moment it goes on from what was kept: what was told is not told
// again, what was not is.
func TestAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		d := &desk{}
		set := settings(map[string]notify.Sender{"team": d})
		a := now(alert("profile", "shop", "page"))
		stop := func(told time.Duration, f func(c *notify.Courier)) {
			book, err := notify.ReadBook(d.kept)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			c := notify.New(set, book, d, quiet())
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			f(c)
			time.Sleep(told)
			synctest.Wait()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		stop(10*time.Second, func(c *notify.Courier) { tell(t, c, a) }) // before it was told
		stop(time.Minute, func(*notify.Courier) {})                     // told
		stop(time.Hour, func(*notify.Courier) {})                       // nothing new
		stop(time.Hour, func(c *notify.Courier) { tell(t, c, over(a)) })
		expect(t, d.titles(begin), []string{"30s [FIRING:1] shop", "1h1m10s [RESOLVED] shop"})
		if _, err := notify.ReadBook([]byte("{")); err == nil {
			t.Error("a broken book was read")
		}
	})
}

func TestStoppedWhileSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{hang: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		c := notify.New(settings(map[string]notify.Sender{"team": d}), notify.NewBook(), d, quiet())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		tell(t, c, now(alert("a", "shop", "page")))
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(d.log) != 0 || !strings.Contains(string(d.kept), `"tried":true`) {
			t.Errorf("log %v, kept %s", d.log, d.kept)
		}
	})
}

// Receivers that ask to be left alone are.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		keep := &desk{}
		hook := notify.NewWebhook(&http.Client{Transport: handler(func(w http.ResponseWriter, _ *http.Request) {
			at = append(at, time.Since(begin))
			if len(at) == 1 {
				w.Header().Set("Retry-After", "600")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})}, secret.New("http://hooks.example.com/"), secret.Secret{})
		c := run(t, settings(map[string]notify.Sender{"hook": hook}), notify.NewBook(), keep)
		tell(t, c, now(alert("a", "shop", "page")))
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if want := []time.Duration{30 * time.Second, 630 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("asked at %v, want %v", at, want)
		}
	})
}

func TestTheBookIsBounded(t *testing.T) {
	b := notify.NewBook()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	a := alert("a", "shop", "page")
	for i := range notify.MaxEntries + 1 {
		a.Labels = map[string]string{"app": "shop", "n": time.Duration(i).String()}
		err := b.Put("team", []string{"app"}, a, notify.DefaultTiming, at)
		if (err != nil) != (i == notify.MaxEntries) || err != nil && !fault.Is(err, fault.TooLarge) {
			t.Fatalf("alert %d: %v", i, err)
		}
	}
}

func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pager, mail, begin := &desk{}, &desk{}, time.Now()
		set := settings(map[string]notify.Sender{"pager": pager, "mail": mail})
		set.Routes = []notify.Route{
			{Matchers: []notify.Matcher{{"severity", "=", "page"}}, Receivers: []string{"pager", "mail"}},
			{Receivers: []string{"mail", "nobody"}},
		}
		c := run(t, set, notify.NewBook(), mail)
		tell(t, c, now(alert("a", "shop", "page")))
		tell(t, c, now(alert("b", "shop", "ticket")))
		time.Sleep(time.Hour)
		expect(t, pager.titles(begin), []string{"30s [FIRING:1] a shop dev"})
		expect(t, mail.titles(begin), []string{"30s [FIRING:1] b shop dev", "30s [FIRING:1] a shop dev"})
		if !slices.ContainsFunc(mail.log, func(l notify.Delivery) bool { return l.Receiver == "nobody" && l.Final }) {
			t.Errorf("nobody was told that nobody is there: %+v", mail.log)
		}
	})
}

// What a receiver that is gone was to be told is forgotten, also after a crash.
func TestAReceiverThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, other, begin := &desk{}, &desk{}, time.Now()
		set := settings(map[string]notify.Sender{"team": d, "other": other})
		c := run(t, set, notify.NewBook(), d)
		tell(t, c, now(alert("a", "shop", "page")))
		time.Sleep(time.Minute)
		c.Set(t.Context(), settings(map[string]notify.Sender{"other": other}))
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		expect(t, d.titles(begin), []string{"30s [FIRING:1] shop"})
		expect(t, other.titles(begin), []string{"30s [FIRING:1] shop", "4h0m30s [FIRING:1] shop", "8h0m30s [FIRING:1] shop"})
		if kept := string(d.kept); strings.Contains(kept, `"receiver":"team"`) || !strings.Contains(kept, `"receiver":"other"`) {
			t.Errorf("kept is %s", kept)
		}
	})
}

// The same told again writes nothing; what could not be kept is kept when it is
// told again.
func TestOnlyNewsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		c := notify.New(settings(map[string]notify.Sender{"team": &desk{}}), notify.NewBook(), k, quiet())
		a, b := now(alert("a", "shop", "page")), now(alert("b", "shop", "page"))
		tell(t, c, a)
		tell(t, c, a)
		if k.saves != 1 {
			t.Errorf("%d saves of the same, want 1", k.saves)
		}
		k.fail = errors.New("the disk is full")
		if err := c.Tell(t.Context(), a, b); err == nil || fault.Of(err).Kind != fault.Internal {
			t.Errorf("it could not be kept: %v", err)
		}
		k.fail = nil
		tell(t, c, a)
		if k.saves != 2 || !strings.Contains(k.kept, `"alertname":"b"`) {
			t.Errorf("%d saves; kept is %s", k.saves, k.kept)
		}
	})
}

type keeper struct {
	saves int
	kept  string
	fail  error
}

func (k *keeper) Save(_ context.Context, book []byte) error {
	if k.fail == nil {
		k.saves++
		k.kept = string(book)
	}
	return k.fail
}

func (k *keeper) Delivered(context.Context, notify.Delivery) error { return nil }

// A book that was written before the clock was set back is not waited for.
func TestABookFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, begin := &desk{}, time.Now()
		book := notify.NewBook()
		a := alert("a", "shop", "page")
		a.Started = begin.Add(1000 * time.Hour)
		set := settings(map[string]notify.Sender{"team": d})
		if err := book.Put("team", []string{"app"}, a, set.Timing, a.Started); err != nil {
			t.Fatal(err)
		}
		run(t, set, book, d)
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, d.titles(begin), []string{"0s [FIRING:1] shop"})
	})
}
