package fetch_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"naru/internal/backoff"
	"naru/internal/build/bake/fetch"
	"naru/internal/fault"
)

const body = "content of a package"

func client(t *testing.T, change func(*fetch.Config)) *fetch.Client {
	t.Helper()
	cfg := fetch.Config{Dir: t.TempDir(), Retry: backoff.Policy{First: time.Millisecond, Max: time.Millisecond}, Idle: 2 * time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := fetch.New(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func blob(s string) fetch.Blob {
	sum := sha256.Sum256([]byte(s))
	return fetch.Blob{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:]), Size: int64(len(s))}
}

// mirror serves body at every path; each request consumes one of the failures.
func mirror(t *testing.T, asked *atomic.Int32, failures ...http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1)) - 1
		if n < len(failures) {
			failures[n](w, r)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "20")
	_, _ = io.WriteString(w, body[:5])
	panic(http.ErrAbortHandler)
}

func TestBlobIsFetchedOnceAndCheckedEveryTime(t *testing.T) {
	var asked atomic.Int32
	c, url := client(t, nil), mirror(t, &asked)
	var seen int
	path, from, err := c.Blob(t.Context(), blob(body), []string{url}, func(n int) { seen += n })
	if err != nil || from != url || seen != len(body) {
		t.Fatalf("Blob() = %q, %q, %v after %d bytes", path, from, err, seen)
	}
	if _, from, err = c.Blob(t.Context(), blob(body), []string{url}, nil); err != nil || from != "" {
		t.Errorf("second time: fetched from %q, %v", from, err)
	}
	if err := os.WriteFile(path, []byte("content of a pAckage"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, from, err = c.Blob(t.Context(), blob(body), []string{url}, nil); err != nil || from != url {
		t.Errorf("after damage: fetched from %q, %v; want it fetched again", from, err)
	}
	if got, _ := os.ReadFile(path); string(got) != body {
		t.Errorf("cache holds %q", got)
	}
}

func TestBlobTriesAgain(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"server error": status(503), "cut off": cut, "too many": status(429),
		"damaged on the way": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.ToUpper(body)) },
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			c, url := client(t, nil), mirror(t, &asked, fail, fail)
			if _, _, err := c.Blob(t.Context(), blob(body), []string{url}, nil); err != nil {
				t.Fatal(err)
			}
			if asked.Load() != 3 {
				t.Errorf("asked %d times, want 3", asked.Load())
			}
		})
	}
}

func TestBlobGoesToTheNextAddressWhenOneHasItNot(t *testing.T) {
	var asked atomic.Int32
	c, url := client(t, nil), mirror(t, &asked, status(404))
	if _, _, err := c.Blob(t.Context(), blob(body), []string{url + "/by-hash", url + "/plain"}, nil); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 2 {
		t.Errorf("asked %d times, want 2: a 404 is not worth repeating", asked.Load())
	}
}

func TestBlobRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		want  fetch.Blob
		serve http.HandlerFunc
		kind  fault.Kind
		says  string
	}{
		"another content": {blob("something other 20 b"), nil, fault.Invalid, "promised"},
		"too much":        {fetch.Blob{Algorithm: "sha256", Hex: blob(body).Hex, Size: 5}, nil, fault.Invalid, "has more than 5 bytes, but"},
		"over the limit":  {fetch.Blob{Algorithm: "sha256", Hex: blob(body).Hex, Max: 5}, nil, fault.TooLarge, "larger"},
		"gone":            {blob(body), status(404), fault.Unavailable, "failed"},
		"no hash":         {fetch.Blob{Algorithm: "sha256", Hex: "../../etc/passwd", Size: 1}, nil, fault.Invalid, "not a sha256 hash"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			var fails []http.HandlerFunc
			for range 8 {
				if tc.serve != nil {
					fails = append(fails, tc.serve)
				}
			}
			c, url := client(t, nil), mirror(t, &asked, fails...)
			path, _, err := c.Blob(t.Context(), tc.want, []string{url}, nil)
			if err == nil || !fault.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("Blob() = %q, %v; want %s saying %q", path, err, tc.kind, tc.says)
			}
			if _, err := os.Stat(c.Path(tc.want)); err == nil {
				t.Error("the refused content is in the cache")
			}
			if f := fault.Of(err); f.Field == "from.mirror" && (!strings.Contains(f.Message, url) || !strings.Contains(f.Message, tc.want.Hex) || f.Try == "") {
				t.Errorf("%v (%+v) does not name the mirror, the hash and the way out", err, f)
			}
		})
	}
}

func TestStandstillIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	stall := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, body[:5])
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	var asked atomic.Int32
	url := mirror(t, &asked, stall)
	t.Cleanup(func() { close(release) })
	c := client(t, func(c *fetch.Config) { c.Idle = 50 * time.Millisecond })
	if _, _, err := c.Blob(t.Context(), blob(body), []string{url}, nil); err != nil {
		t.Fatalf("the second attempt should have had it: %v", err)
	}
}

func TestUnknownCertificateNamesTheWayOut(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelInfo)
	t.Cleanup(s.Close)
	_, err := client(t, nil).Document(t.Context(), s.URL, "", 100)
	if f := fault.Of(err); f == nil || !strings.Contains(f.Try, "CA bundle") {
		t.Errorf("err = %v, want a hint at the CA bundle", err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	got, err := client(t, func(c *fetch.Config) { c.CABundle = ca }).Document(t.Context(), s.URL, "", 100)
	if err != nil || string(got) != body {
		t.Errorf("with the CA: %q, %v", got, err)
	}
	if _, err := fetch.New(fetch.Config{CABundle: []byte("no pem")}, slog.Default()); !fault.Is(err, fault.Invalid) {
		t.Errorf("a CA bundle without certificates: %v", err)
	}
}
