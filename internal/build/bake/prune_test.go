package bake_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/build/bake"
)

func TestPruneRemovesTheLongestUnused(t *testing.T) {
	cache := t.TempDir()
	put := func(name string, age time.Duration) string {
		path := filepath.Join(cache, "blobs", "sha256", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 100), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, day.Add(-age), day.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, older, young := put("old", 2*time.Hour), put("older", 3*time.Hour), put("young", time.Minute)
	b := smallBaker(t, small(t), cache, func(c *bake.Config) { c.Limits.Cache = 250 })
	if freed, err := b.Prune(); err != nil || freed != 100 {
		t.Fatalf("Prune() = %d, %v; want 100", freed, err)
	}
	if _, err := os.Stat(older); err == nil {
		t.Error("the oldest is still there")
	}
	b = smallBaker(t, small(t), cache, func(c *bake.Config) { c.Limits.Cache = 1 })
	if freed, err := b.Prune(); err != nil || freed != 100 {
		t.Fatalf("Prune() = %d, %v; want 100: what is in use stays", freed, err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old one is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("the young one is gone")
	}
}
