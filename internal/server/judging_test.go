//go:build linux

package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/config"
)

func TestProbesOfOneInstance(t *testing.T) {
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "shop.localhost" {
			http.Error(w, "another host", http.StatusMisdirectedRequest)
			return
		}
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/broken":
			http.Error(w, "broken", http.StatusInternalServerError)
		case "/large":
			_, _ = w.Write(make([]byte, 1<<20))
		case "/stuck":
			<-r.Context().Done()
		}
	}))
	defer instance.Close()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	p := newSideProber(config.Config{AppsDomain: "localhost"}, nil)
	defer p.client.CloseIdleConnections()
	for name, tc := range map[string]struct {
		probe app.Probe
		addr  string
		good  bool
	}{
		"well":               {app.Probe{Path: "/?q=1"}, "", true},
		"head":               {app.Probe{Path: "/", Method: "HEAD"}, "", true},
		"a large answer":     {app.Probe{Path: "/large"}, "", true},
		"broken":             {app.Probe{Path: "/broken"}, "", false},
		"broken is good":     {app.Probe{Path: "/broken", Good: []string{"5xx"}}, "", true},
		"not followed":       {app.Probe{Path: "/moved"}, "", false},
		"moved is good":      {app.Probe{Path: "/moved", Good: []string{"302"}}, "", true},
		"another host":       {app.Probe{Path: "/", Host: "other.test"}, "", false},
		"no answer in time":  {app.Probe{Path: "/stuck"}, "", false},
		"nobody listens":     {app.Probe{Path: "/"}, nobody.Addr().String(), false},
		"no address at all":  {app.Probe{Path: "/"}, "%zz", false},
		"what is not a path": {app.Probe{Path: "\x00"}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if tc.probe.Path == "/stuck" {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, 50*time.Millisecond)
				defer stop()
			}
			if tc.addr == "" {
				tc.addr = strings.TrimPrefix(instance.URL, "http://")
			}
			if got := p.Probe(ctx, app.App{Slug: "shop"}, tc.probe.Filled(), tc.addr); got != tc.good {
				t.Errorf("good is %v, want %v", got, tc.good)
			}
		})
	}
}
