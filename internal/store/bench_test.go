package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/id"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// many makes 10,000 apps with a small draft, one
// transaction each.
func many(b *testing.B, st *store.Store) app.SpaceID {
	b.Helper()
	ctx := b.Context()
	_, space, err := st.Bootstrap(ctx)
	must(b, err)
	for n := range 10_000 {
		name := fmt.Sprintf("app-%05d", n)
		_, err := st.CreateApp(ctx, app.App{
			ID: app.ID(id.New()), Space: space.ID, Name: name, Slug: name, State: app.Started,
			Draft: app.Config{}.WithEnv(map[string]string{"GREETING": "hello", "MODE": "production"}),
		}, event.Event{Kind: "app.created", Actor: "ada", Subject: name})
		must(b, err)
	}
	return space.ID
}

// BenchmarkAppsPage reads pages of 100 out of 10,000 apps, from all over the
// list, and reports the 99th percentile and the bytes on disk for each app.
func BenchmarkAppsPage(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	st := storetest.OpenAt(b, path, store.Options{})
	space := many(b, st)
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		start := time.Now()
		page, err := st.AppsAfter(b.Context(), space, fmt.Sprintf("app-%05d", n*97%9_900), 100)
		must(b, err)
		if len(page) != 100 {
			b.Fatalf("a page of %d", len(page))
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
	var size int64
	for _, end := range []string{"", "-wal"} {
		info, err := os.Stat(path + end)
		must(b, err)
		size += info.Size()
	}
	b.ReportMetric(float64(size)/10_000, "bytes/app")
}

// BenchmarkCommit is one write with its event, synced to disk.
func BenchmarkCommit(b *testing.B) {
	st := storetest.Open(b, store.Options{})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		must(b, st.SetSetting(b.Context(), "n", fmt.Sprint(n), event.Event{Kind: "setting", Actor: "ada", Subject: "n"}))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
