package bake_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/build/bake"
)

// nodeSet is the set that is compared: Debian's own Node on a small system.
const nodeSet = "foundation: bench\nfrom: {distribution: trixie, mirror: %q}\npackages: [nodejs]\n"

// localMirror keeps in memory whatever it was asked for once, so that every
// contender measures itself and not the network.
func localMirror(tb testing.TB) string {
	tb.Helper()
	var mu sync.Mutex
	kept := map[string][]byte{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		body, ok := kept[r.URL.Path]
		mu.Unlock()
		if !ok {
			req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://deb.debian.org"+r.URL.Path, nil)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			body, err = io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				w.WriteHeader(resp.StatusCode)
				return
			}
			mu.Lock()
			kept[r.URL.Path] = body
			mu.Unlock()
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	}))
	tb.Cleanup(s.Close)
	return s.URL
}

// BenchmarkBake compares, on the same packages from the same local mirror:
//
//	go test -run '^$' -bench Bake -benchtime 5x ./internal/build/bake
//
// mmdebstrap --variant=extract unpacks and runs no maintainer script, as we do.
// It writes a plain tar; we leave manuals out, and compress and hash the layers.
func BenchmarkBake(b *testing.B) {
	needMirror(b)
	mirror := localMirror(b)
	spec, err := bake.ParseSpec("bench.yaml", fmt.Appendf(nil, nodeSet, mirror+"/debian"))
	if err != nil {
		b.Fatal(err)
	}
	fresh := func(dir string) *bake.Baker {
		k, err := bake.New(bake.Config{CacheDir: dir}, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		return k
	}
	warm := b.TempDir()
	first, err := fresh(warm).Bake(b.Context(), spec, bake.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("naru-cold", func(b *testing.B) {
		steps := map[string]time.Duration{}
		for b.Loop() {
			dir := b.TempDir()
			res, err := fresh(dir).Bake(b.Context(), spec, bake.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if res.Digest != first.Digest {
				b.Fatalf("digest %s, want %s", res.Digest, first.Digest)
			}
			b.StopTimer()
			_ = os.RemoveAll(dir)
			for _, s := range res.Steps {
				steps[s.Name] += s.Took
			}
			b.StartTimer()
		}
		for name, took := range steps {
			b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms-"+name)
		}
	})
	b.Run("naru-warm-packages", func(b *testing.B) {
		for b.Loop() {
			_ = os.RemoveAll(filepath.Join(warm, "records"))
			if _, err := fresh(warm).Bake(b.Context(), spec, bake.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("naru-warm-unlocked", func(b *testing.B) {
		for b.Loop() {
			if res, err := fresh(warm).Bake(b.Context(), spec, bake.Options{}); err != nil || !res.Remembered {
				b.Fatal(res.Remembered, err)
			}
		}
	})
	b.Run("naru-warm-locked", func(b *testing.B) {
		for b.Loop() {
			if res, err := fresh(warm).Bake(b.Context(), spec, bake.Options{Lock: &first.Lock}); err != nil || !res.Remembered {
				b.Fatal(res.Remembered, err)
			}
		}
	})
	b.Run("mmdebstrap-extract", func(b *testing.B) {
		again := peer(b, mirror, first.Lock)
		var naru, other []time.Duration
		var ratios []float64
		for b.Loop() {
			for range pairs {
				dir := b.TempDir()
				start := time.Now()
				if _, err := fresh(dir).Bake(b.Context(), spec, bake.Options{}); err != nil {
					b.Fatal(err)
				}
				naru = append(naru, time.Since(start))
				_ = os.RemoveAll(dir)
				start = time.Now()
				again()
				other = append(other, time.Since(start))
				ratios = append(ratios, naru[len(naru)-1].Seconds()/other[len(other)-1].Seconds())
			}
		}
		b.Logf("naru %v, mmdebstrap %v, ratios %.2f", naru, other, ratios)
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "naru/mmdebstrap")
	})
}

// pairs are run in turn, so that both contenders meet the same neighbours on a
// shared machine; the middle ratio is reported.
const pairs = 3

// peer makes mmdebstrap ready and returns how to run it once.
func peer(b *testing.B, mirror string, lock bake.Lock) (once func()) {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		b.Skip("mmdebstrap is not installed, so there is no peer")
	}
	var names []string
	for _, p := range lock.Packages {
		names = append(names, p.Name)
	}
	dir := b.TempDir()
	list := filepath.Join(dir, "sources.list")
	text := "deb " + mirror + "/debian trixie main\ndeb " + mirror + "/debian trixie-updates main\ndeb " + mirror + "/debian-security trixie-security main\n"
	if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	once = func() {
		cmd := exec.CommandContext(b.Context(), "mmdebstrap", "--variant=extract", "--include="+strings.Join(names, ","), "trixie", filepath.Join(dir, "out.tar"), list)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("mmdebstrap: %v\n%s", err, out)
		}
	}
	once() // fills the mirror
	return once
}
