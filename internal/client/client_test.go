package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"naru/internal/client"
	"naru/internal/fault"
)

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	for _, addr := range []string{"", "localhost", "localhost:7070", "ftp://x", "http://", "http://me:pw@host"} {
		if _, err := client.New(addr, client.Options{}); !fault.Is(err, fault.Invalid) || fault.Of(err).Try == "" {
			t.Errorf("New(%q) = %v", addr, err)
		}
	}
}

// kept is a session in memory.
type kept struct {
	mu sync.Mutex // guards t
	t  client.Tokens
}

func (k *kept) Load(context.Context) (client.Tokens, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.t, nil
}

func (k *kept) Update(_ context.Context, change func(client.Tokens) (client.Tokens, error)) (client.Tokens, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, err := change(k.t)
	if err == nil {
		k.t = t
	}
	return t, err
}

// tokens is a server that knows one access token at a time.
type tokens struct {
	mu      sync.Mutex // guards all below
	n       int
	renewed int
	keys    []string
	fail    []int // statuses to answer with before it works
}

func (s *tokens) access() string { return fmt.Sprint("access", s.n) }

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	if len(s.fail) > 0 {
		w.WriteHeader(s.fail[0])
		s.fail = s.fail[1:]
		return
	}
	switch {
	case r.URL.Path == "/v1/auth/refresh":
		var in client.Refresh
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.RefreshToken != fmt.Sprint("refresh", s.n) {
			problem(w, 401, fault.Unauthenticated)
			return
		}
		s.n, s.renewed = s.n+1, s.renewed+1
		_ = json.NewEncoder(w).Encode(client.Tokens{
			AccessToken: s.access(), RefreshToken: fmt.Sprint("refresh", s.n), ExpiresAt: time.Now().Add(time.Hour),
		})
	case r.Header.Get("Authorization") != "Bearer "+s.access():
		problem(w, 401, fault.Unauthenticated)
	default:
		_, _ = w.Write([]byte(`{"id":"1","name":"x"}`))
	}
}

func problem(w http.ResponseWriter, status int, kind fault.Kind) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(client.Problem{Status: status, Kind: string(kind), Message: "no"})
}

func TestTokensAreRenewedOnce(t *testing.T) {
	for name, expires := range map[string]time.Time{
		"about to end":      time.Now().Add(time.Second),
		"ended server-side": time.Now().Add(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			api := &tokens{n: 1}
			srv := httptest.NewServer(api)
			defer srv.Close()
			stale := "access0" // the server knows access1
			k := &kept{t: client.Tokens{AccessToken: stale, RefreshToken: "refresh1", ExpiresAt: expires}}
			c, err := client.New(srv.URL, client.Options{Session: k, Patience: -1})
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if _, err := c.Org(t.Context(), "x"); err != nil {
						t.Errorf("get: %v", err)
					}
				})
			}
			all.Wait()
			if api.renewed != 1 {
				t.Errorf("renewed %d times, want once", api.renewed)
			}
		})
	}
}

func TestEndedLoginSaysSo(t *testing.T) {
	srv := httptest.NewServer(&tokens{n: 5})
	defer srv.Close()
	for name, s := range map[string]client.Session{
		"API token":     client.Static("old"),
		"refresh ended": &kept{t: client.Tokens{AccessToken: "old", RefreshToken: "old"}},
		"no refresh":    &kept{t: client.Tokens{AccessToken: "old"}},
	} {
		c, err := client.New(srv.URL, client.Options{Session: s, Patience: -1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Org(t.Context(), "x"); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCallsAreRepeatedWithTheSameKey(t *testing.T) {
	api := &tokens{n: 1, fail: []int{503, 502, 429}}
	srv := httptest.NewServer(api)
	defer srv.Close()
	waits := 0
	c, err := client.New(srv.URL, client.Options{Session: client.Static("access1"), Waiting: func(error, time.Duration) { waits++ }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateOrg(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if len(api.keys) != 4 || waits != 3 || api.keys[0] == "" || len(slices.Compact(slices.Clone(api.keys))) != 1 {
		t.Errorf("keys %q after %d waits, want four times the same", api.keys, waits)
	}
	if _, err := c.CreateOrg(t.Context(), "x"); err != nil || api.keys[4] == api.keys[0] {
		t.Errorf("another call: %v, keys %q", err, api.keys)
	}
	api.fail = []int{500}
	if _, err := c.CreateOrg(t.Context(), "x"); !fault.Is(err, fault.Internal) || len(api.keys) != 6 {
		t.Errorf("a defect is not repeated: %v, %d calls", err, len(api.keys))
	}
}

func TestTokensDoNotPrint(t *testing.T) {
	tok := client.Tokens{AccessToken: "s3cr3t", RefreshToken: "s3cr3t"}
	for _, text := range []string{fmt.Sprint(tok), fmt.Sprintf("%+v %#v", tok, tok), tok.LogValue().String()} {
		if text != "***" && text != "*** ***" {
			t.Errorf("printed %q", text)
		}
	}
}

func TestCancelEndsWaiting(t *testing.T) {
	api := &tokens{fail: slices.Repeat([]int{503}, 1000)}
	srv := httptest.NewServer(api)
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := client.New(srv.URL, client.Options{Waiting: func(error, time.Duration) { cancel() }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(ctx); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
}
