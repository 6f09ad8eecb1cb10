//go:build linux

package server

import (
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/config"
	"naru/internal/id"
	"naru/internal/release"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

func TestStoppedAppsDoNotKeepReleasesForEver(t *testing.T) {
	st := storetest.Open(t, store.Options{})
	ctx := t.Context()
	_, space, err := st.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a, err := st.CreateApp(ctx, app.App{ID: app.ID(id.New()), Space: space.ID, Name: "shop", Slug: "shop", State: app.Stopped})
	if err != nil {
		t.Fatal(err)
	}
	img := artifact.Image{Processes: []app.Process{{Type: app.Web}}, Ref: artifact.Ref{Repository: "default/dev/shop", Digest: "sha256:1"}}
	for range 5 {
		_, err := st.CutRelease(ctx, a.ID, func(number int, now time.Time) (release.Release, error) {
			return release.Cut(a, img, number, "push", "ada", now)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	u := &upkeep{store: st, keep: config.Keep{Releases: 2}}
	text, err := u.forget(ctx)
	if err != nil || text != "3 releases and 0 images forgotten" {
		t.Errorf("forget() = %q, %v", text, err)
	}
	left, err := st.Releases(ctx, a.ID, 0)
	if err != nil || len(left) != 2 || left[0].Number != 5 {
		t.Errorf("left: %+v, %v, want the newest two", left, err)
	}
}
