package bake_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"naru/internal/build/bake"
	"naru/internal/build/bake/bakefix"
)

// What a test tells the process it starts to bake in its stead.
const (
	childOf    = "NARU_TEST_BAKE_DIR"    // folder with spec.yaml, keys.gpg and the cache
	childKill  = "NARU_TEST_BAKE_KILL"   // kill yourself at this event, counted from 1
	childPause = "NARU_TEST_BAKE_PAUSED" // wait at the beginning of this step for a line of input
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childOf); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "spec.yaml"))
	if err != nil {
		return err
	}
	spec, err := bake.ParseSpec("spec.yaml", raw)
	if err != nil {
		return err
	}
	b, err := bake.New(bake.Config{CacheDir: filepath.Join(dir, "cache"), Keyring: filepath.Join(dir, "keys.gpg"),
		Now: func() time.Time { return day }}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	end, _ := strconv.Atoi(os.Getenv(childKill)) // unset: never
	events := 0
	res, err := b.Bake(context.Background(), spec, bake.Options{Progress: func(e bake.Event) {
		if events++; events == end {
			fmt.Printf("%s %s %s %d\n", e.Kind, e.Step, e.Name, e.Bytes)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if e.Kind == bake.Begun && e.Step == os.Getenv(childPause) {
			fmt.Println("paused")
			_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		}
	}})
	fmt.Println(res.Digest)
	return err
}

// childDir makes the folder of a child that bakes from an archive.
func childDir(t *testing.T, a *bakefix.Archive) (dir string, spec bake.Spec) {
	t.Helper()
	dir = t.TempDir()
	text := "foundation: tool\nfrom: {distribution: trixie, suites: [trixie], architecture: amd64, mirror: \"" + a.URL + "\"}\npackages: [tool]\nfiles: [{path: /etc/motd, content: hi}]\n"
	for name, body := range map[string]string{"spec.yaml": text, "keys.gpg": string(a.Public)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	spec, err := bake.ParseSpec("spec.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return dir, spec
}

func childIn(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), childOf+"="+dir), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestKilledBakeGoesOn kills a bake with SIGKILL at every event of its life,
// each time on a cache of its own: while files arrive, after each has landed,
// while layers are written, before and after the result is remembered. The next
// bake gives the same image, and a cache that holds what one without a kill
// holds, and nothing else.
func TestKilledBakeGoesOn(t *testing.T) {
	a := small(t)
	all := packages(t)
	tool := &all[len(all)-1]
	tool.Compression = "" // so that it arrives, and is written, in many pieces
	tool.Files = append(tool.Files, bakefix.File{Name: "./usr/lib/big", Mode: 0o644, Body: noise(300 << 10)})
	a.Publish("trixie", day.Add(-time.Hour), "", all...)

	dir, spec := childDir(t, a)
	cache := filepath.Join(dir, "cache")
	want, err := smallBaker(t, a, cache, nil).Bake(t.Context(), spec, bake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	holds := listing(t, cache)
	every := 1
	if testing.Short() {
		every = 9
	}
	kills, at := 0, map[string]int{}
	for n := 1; ; n += every {
		if err := os.RemoveAll(cache); err != nil {
			t.Fatal(err)
		}
		where, killed := killAt(t, dir, n)
		if !killed {
			if digest := strings.TrimSpace(where); digest != want.Digest {
				t.Errorf("the bake that was not killed ended with %s, want %s", digest, want.Digest)
			}
			break
		}
		kills++
		at[strings.Join(strings.Fields(where)[:2], " ")]++
		got, err := smallBaker(t, a, cache, nil).Bake(t.Context(), spec, bake.Options{})
		if err != nil || got.Digest != want.Digest {
			t.Errorf("killed at event %d (%s): the next bake gives %s, %v; want %s", n, where, got.Digest, err, want.Digest)
		}
		if now := listing(t, cache); !slices.Equal(now, holds) {
			t.Errorf("killed at event %d (%s): the cache holds\n%s\nwant\n%s", n, where, strings.Join(now, "\n"), strings.Join(holds, "\n"))
		}
	}
	t.Logf("killed %d times: %v", kills, at)
	if kills < 5 {
		t.Errorf("killed %d times only", kills)
	}
	for _, point := range []string{"downloaded layers", "unpacked layers"} {
		if at[point] < 10 && every == 1 {
			t.Errorf("killed only %d times at %q", at[point], point)
		}
	}
	for _, point := range []string{"begun suites", "begun resolve", "begun layers", "begun image", "ended image"} {
		if at[point] != 1 && every == 1 {
			t.Errorf("killed %d times at %q, want once", at[point], point)
		}
	}
}

// killAt has a child bake and kill itself at an event, and returns what event
// that was; or lets it end, and returns the digest.
func killAt(t *testing.T, dir string, n int) (said string, killed bool) {
	t.Helper()
	out, err := childIn(t, dir, childKill+"="+strconv.Itoa(n)).Output()
	if err == nil {
		return string(out), false
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child at event %d: %v", n, err)
	}
	return strings.TrimSpace(string(out)), true
}

// listing is every file below a folder, with its size.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		all = append(all, fmt.Sprintf("%s %d", strings.TrimPrefix(path, dir), info.Size()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// noise is text that no compressor makes smaller by much, the same each time.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

func TestAnotherBakeSweepsWhatAKilledOneLeft(t *testing.T) {
	for name, clean := range map[string]func(b *bake.Baker, spec bake.Spec) error{
		"another bake": func(b *bake.Baker, spec bake.Spec) error {
			_, err := b.Bake(t.Context(), spec, bake.Options{})
			return err
		},
		"pruning": func(b *bake.Baker, _ bake.Spec) error { _, err := b.Prune(); return err },
	} {
		t.Run(name, func(t *testing.T) {
			a := small(t)
			dir, _ := childDir(t, a)
			cache := filepath.Join(dir, "cache")
			if where, killed := killAt(t, dir, 8); !killed {
				t.Fatalf("the child ended: %s", where)
			}
			left, _ := filepath.Glob(filepath.Join(cache, "tmp", "*"))
			if len(left) == 0 {
				t.Fatal("the killed bake left nothing to be swept")
			}
			if err := clean(smallBaker(t, a, cache, nil), smallSpec(t, a, "env: {A: b}\n")); err != nil {
				t.Fatal(err)
			}
			if still, _ := filepath.Glob(filepath.Join(cache, "tmp", "*")); len(still) > 0 {
				t.Errorf("of %v there is still %v", left, still)
			}
		})
	}
}
