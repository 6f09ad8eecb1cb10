package admit_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/disk"
	"naru/internal/id"
	"naru/internal/pipeline/admit"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/store"
)

// BenchmarkResize asks for room beside 10,000 apps: it stands in every change of
// a size, while all other writes wait.
func BenchmarkResize(b *testing.B) {
	st, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "store.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	_, space, err := st.Bootstrap(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var last app.App
	err = st.Together(b.Context(), func(ctx context.Context) error {
		for n := range 10_000 {
			name := fmt.Sprintf("app-%d", n)
			if last, err = st.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space.ID, Name: name, Slug: name, State: app.Started}); err != nil {
				return err
			}
			rel, err := st.CutRelease(ctx, last.ID, func(number int, now time.Time) (release.Release, error) {
				return release.Cut(last, artifact.Image{Ref: artifact.Ref{Repository: "default/dev/" + name, Digest: "sha256:" + fmt.Sprintf("%064x", n)}}, number, "push", "ada", now)
			})
			if err != nil {
				return err
			}
			if _, err := st.CreateGroup(ctx, run.Group{App: last.ID, Process: app.Web, Release: rel.ID, Size: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	desk := admit.NewDesk(st, admit.Limits{MachineMiB: 100_000_000, Overcommit: 1}, disk.Reserve{}, 0)
	last.Scale = map[string]int{app.Web: 2}
	for b.Loop() {
		if err := desk.Resize(b.Context(), last); err != nil {
			b.Fatal(err)
		}
	}
}
