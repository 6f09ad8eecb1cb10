package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"naru/internal/app/label"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/source"
	"naru/internal/store"
)

// buildpacks are what people upload for builds to use.
func buildpacks(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	add := func(name, stack string, position int) source.Buildpack {
		t.Helper()
		b, err := w.AddBuildpack(ctx, source.Buildpack{ID: source.BuildpackID(id.New()), Name: name, Stack: stack, Position: position, Enabled: true}, 4, happened("buildpack.created", name))
		must(t, err)
		return b
	}
	order := func(want string) {
		t.Helper()
		all, err := w.Buildpacks(ctx)
		must(t, err)
		var got []string
		for i, b := range all {
			got = append(got, fmt.Sprintf("%s/%s", b.Name, b.Stack))
			if b.Position != i+1 {
				t.Errorf("%s is at %d, and the %d. of all", b.Name, b.Position, i+1)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("in the order %s, want %s", s, want)
		}
	}
	a, b := add("a", "", 9), add("b", "", 1)
	c := add("b", "cflinuxfs4", 2)
	order("b/ b/cflinuxfs4 a/")
	if a.Position != 1 || a.Created.IsZero() || a.Ready() {
		t.Errorf("the first is %+v", a)
	}

	t.Run("a name is there once for a stack", func(t *testing.T) {
		_, err := w.AddBuildpack(ctx, source.Buildpack{ID: source.BuildpackID(id.New()), Name: "b", Position: 1}, 4)
		mustBe(t, err, fault.Conflict)
		_, err = w.UpdateBuildpack(ctx, a.ID, func(p *source.Buildpack) error { p.Name = "b"; return nil })
		mustBe(t, err, fault.Conflict)
		order("b/ b/cflinuxfs4 a/")
	})

	t.Run("others make room", func(t *testing.T) {
		for _, move := range []struct {
			id   source.BuildpackID
			to   int
			want string
		}{{a.ID, 1, "a/ b/ b/cflinuxfs4"}, {a.ID, 99, "b/ b/cflinuxfs4 a/"}, {b.ID, 2, "b/cflinuxfs4 b/ a/"}, {c.ID, 0, "b/cflinuxfs4 b/ a/"}} {
			_, err := w.UpdateBuildpack(ctx, move.id, func(p *source.Buildpack) error { p.Position = move.to; return nil })
			must(t, err)
			order(move.want)
		}
	})

	t.Run("what it has become is kept", func(t *testing.T) {
		want, err := w.UpdateBuildpack(ctx, b.ID, func(p *source.Buildpack) error {
			p.Name, p.Locked, p.Digest, p.Filename, p.Trouble, p.Error = "bb", true, "sha256:1", "b.zip", source.NoBuildpack, "why"
			return nil
		}, happened("buildpack.uploaded", "bb"))
		must(t, err)
		if got, err := w.Buildpack(ctx, b.ID); err != nil || !reflect.DeepEqual(got, want) || !got.Ready() {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		_, err = w.UpdateBuildpack(ctx, "none", func(*source.Buildpack) error { return nil })
		mustBe(t, err, fault.NotFound)
	})

	t.Run("there are not too many", func(t *testing.T) {
		add("d", "", 1)
		_, err := w.AddBuildpack(ctx, source.Buildpack{ID: source.BuildpackID(id.New()), Name: "e"}, 4)
		mustBe(t, err, fault.Conflict)
	})

	t.Run("one that is deleted leaves no gap", func(t *testing.T) {
		yes := "1"
		_, err := w.SetLabels(ctx, label.Thing{Kind: "buildpacks", ID: string(c.ID)}, label.Change{Labels: map[string]*string{"x": &yes}})
		must(t, err)
		must(t, w.DeleteBuildpack(ctx, c.ID, happened("buildpack.deleted", "b")))
		order("d/ bb/ a/")
		if left, err := w.LabelsOf(ctx, "buildpacks", string(c.ID)); err != nil || len(left) != 0 {
			t.Errorf("written on it is still %v, %v", left, err)
		}
		mustBe(t, w.DeleteBuildpack(ctx, c.ID), fault.NotFound)
	})
}
