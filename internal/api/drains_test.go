package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/observe/logs"
)

// receiver takes connections and hands on what comes.
func receiver(t *testing.T) (address string, got <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	texts := make(chan string, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := c.Read(buf)
					if n > 0 {
						texts <- string(buf[:n])
					}
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), texts
}

func TestDrains(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	shop, later := w.app("shop"), app.App{}
	dev, ctx := w.dev("dev"), t.Context()
	say := func(a app.App, text string) {
		must(t, w.book.Append(ctx, []logs.Line{{Time: time.Now(), App: a.ID, Source: logs.App, Process: "web", Stream: "stdout", Text: text}}, nil))
	}
	address, got := receiver(t)
	wait := func(text string) {
		t.Helper()
		all := ""
		for !strings.Contains(all, text) {
			select {
			case some := <-got:
				all += some
			case <-time.After(time.Minute):
				t.Fatalf("got %q, and no %q", all, text)
			}
		}
		if strings.Contains(all, "before") {
			t.Errorf("lines from before the drain: %q", all)
		}
	}
	say(shop, "before")
	one, err := dev.AddDrain(ctx, client.NewDrain{Name: "one", URL: "syslog://" + address, App: "shop", Search: "panic"})
	must(t, err)
	if one.URL != "syslog://"+address || one.App != "shop" || one.By != "dev" || one.State != client.DrainFlowing || one.CreatedAt.IsZero() {
		t.Errorf("added %+v", one)
	}
	say(shop, "nothing happened")
	say(shop, "panic: it happened")
	wait("panic: it happened")
	_, err = dev.AddDrain(ctx, client.NewDrain{Name: "all", URL: "syslog://" + address})
	must(t, err)
	later = w.app("later")
	say(later, "of an app that came later")
	wait("of an app that came later")
	for _, c := range []struct {
		app, want string
	}{{"", "all one"}, {"shop", "all one"}, {"later", "all"}} {
		list, err := dev.Drains(ctx, c.app)
		must(t, err)
		names := ""
		for _, d := range list {
			names += " " + d.Name
		}
		if names != " "+c.want {
			t.Errorf("drains of %q are%s", c.app, names)
		}
	}
	tried, err := dev.TestDrain(ctx, "one")
	must(t, err)
	if !tried.Took || tried.In <= 0 || !strings.Contains(tried.Said, "no answers") {
		t.Errorf("tried: %+v", tried)
	}
	wait("naru drain test one (asked by dev)")

	// What cannot be.
	for _, c := range []struct {
		in    client.NewDrain
		kind  fault.Kind
		field string
	}{
		{client.NewDrain{Name: "one", URL: "syslog://h"}, fault.Conflict, "name"},
		{client.NewDrain{Name: "a/b", URL: "syslog://h"}, fault.Invalid, "name"},
		{client.NewDrain{Name: "x", URL: "http://me:hidden@h"}, fault.Invalid, "url"},
		{client.NewDrain{Name: "x", URL: "syslog://h", App: "nobody"}, fault.NotFound, "app"},
		{client.NewDrain{Name: "x", URL: "syslog://h", Search: "a AND"}, fault.Invalid, "search"},
		{client.NewDrain{Name: "x", URL: "syslog-tls://h", CA: "hidden"}, fault.Invalid, "ca"},
		{client.NewDrain{Name: "x", URL: "syslog://h", CA: "hidden"}, fault.Invalid, "ca"},
		{client.NewDrain{Name: "x", URL: "syslog://h", Headers: map[string]string{"A": "hidden"}}, fault.Invalid, "header"},
		{client.NewDrain{Name: "x", URL: "otlp+http://h", Headers: map[string]string{"A": "hidden\nB: c"}}, fault.Invalid, "header"},
		{client.NewDrain{Name: "x", URL: "otlp+http://h", Headers: map[string]string{"content-length": "0"}}, fault.Invalid, "header"},
	} {
		_, err := dev.AddDrain(ctx, c.in)
		if f := fault.Of(err); f.Kind != c.kind || f.Field != c.field || strings.Contains(fmt.Sprint(f, f.Try), "hidden") {
			t.Errorf("%+v: %v", c.in.Name, err)
		}
	}
	_, err = dev.AddDrain(ctx, client.NewDrain{Name: "third", URL: "syslog://" + address})
	must(t, err)
	if _, err := dev.AddDrain(ctx, client.NewDrain{Name: "fourth", URL: "syslog://h"}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "logs.drains") {
		t.Errorf("more than may be: %v", err)
	}
	must(t, dev.DeleteDrain(ctx, "third"))
	if _, err := dev.TestDrain(ctx, "third"); !fault.Is(err, fault.NotFound) {
		t.Errorf("trying what is gone: %v", err)
	}
	if err := dev.DeleteDrain(ctx, "third"); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleting what is gone: %v", err)
	}
}

// TestSecretsOfDrainsAreNotTold has a receiver that wants a password and a key,
// and refuses one line.
func TestSecretsOfDrainsAreNotTold(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.app("shop")
	dev, ctx := w.dev("dev"), t.Context()
	status := make(chan int, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		_, _ = io.Copy(io.Discard, r.Body) // it is not looked into
		if user != "me" || password != "hidden" || r.Header.Get("X-Api-Key") != "hidden" || r.URL.Query().Get("token") != "hidden" {
			t.Errorf("asked with %v %v", r.URL, r.Header)
		}
		rw.WriteHeader(<-status)
	}))
	defer srv.Close()
	d, err := dev.AddDrain(ctx, client.NewDrain{
		Name: "secret", URL: strings.Replace(srv.URL, "http://", "otlp+http://me:hidden@", 1) + "/v1/logs?token=hidden", Headers: map[string]string{"x-api-key": "hidden"},
	})
	must(t, err)
	status <- 200
	ok, err := dev.TestDrain(ctx, "secret")
	must(t, err)
	status <- 503
	busy, err := dev.TestDrain(ctx, "secret")
	must(t, err)
	if !ok.Took || busy.Took || !strings.Contains(busy.Said, "503") {
		t.Errorf("tried: %+v and %+v", ok, busy)
	}
	list, err := dev.Drains(ctx, "")
	must(t, err)
	events, err := dev.Events(ctx, client.EventQuery{})
	must(t, err)
	srv.Close()
	gone, err := dev.TestDrain(ctx, "secret")
	must(t, err)
	if text := fmt.Sprintf("%+v %+v %+v %+v %s", d, list, events, gone, w.logs); strings.Contains(text, "hidden") || !strings.Contains(text, "X-Api-Key") || gone.Took {
		t.Errorf("what is told: %s", text)
	}
}
