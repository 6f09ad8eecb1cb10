package fetch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"naru/internal/build/bake/fetch"
)

func TestSweepRemovesWhatNobodyHolds(t *testing.T) {
	dir := t.TempDir()
	c := client(t, func(c *fetch.Config) { c.Dir = dir })
	if err := c.Sweep(); err != nil {
		t.Fatalf("without a folder: %v", err)
	}
	held, err := c.Hold(t.Context(), "held", nil)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "tmp", "left")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
	path := filepath.Join(dir, "deep", "kept")
	if _, err := held.WriteString("whole"); err != nil {
		t.Fatal(err)
	}
	if err := held.Publish(path); err != nil {
		t.Fatalf("what is held was swept away: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "whole" {
		t.Errorf("published %q, %v", got, err)
	}
}

func TestHoldWaitsForTheOther(t *testing.T) {
	for name, end := range map[string]func(h *fetch.Held, path string) error{
		"published": func(h *fetch.Held, path string) error { return h.Publish(path) },
		"discarded": func(h *fetch.Held, _ string) error { return h.Discard() },
		"killed":    func(h *fetch.Held, _ string) error { return h.Close() }, // what is left of a process is its file, unlocked
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := client(t, func(c *fetch.Config) { c.Dir = dir })
			first, err := c.Hold(t.Context(), "thing", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := first.WriteString("of the first"); err != nil {
				t.Fatal(err)
			}
			waits, got := make(chan struct{}), make(chan error, 1)
			go func() {
				second, err := c.Hold(t.Context(), "thing", func() { close(waits) })
				if err == nil {
					if info, _ := second.Stat(); info.Size() != 0 {
						err = errors.New("it is not empty")
					}
					err = errors.Join(err, second.Discard())
				}
				got <- err
			}()
			<-waits
			if err := end(first, filepath.Join(dir, "published")); err != nil {
				t.Fatal(err)
			}
			if err := <-got; err != nil {
				t.Errorf("the second: %v", err)
			}
			if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestHoldGivesUpWithItsContext(t *testing.T) {
	c := client(t, nil)
	first, err := c.Hold(t.Context(), "thing", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Discard()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.Hold(ctx, "thing", cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want cancelled", err)
	}
}
