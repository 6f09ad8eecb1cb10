package artifact_test

import (
	"slices"
	"testing"
	"time"

	"naru/internal/artifact"
)

func TestPlanGC(t *testing.T) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	long, justNow := now.Add(-2*time.Hour), now.Add(-time.Minute)
	at := func(repo, digest string) artifact.Ref { return artifact.Ref{Repository: repo, Digest: digest} }
	man := func(repo, digest string, needs ...string) artifact.Manifest {
		return artifact.Manifest{Ref: at(repo, digest), Needs: needs, Stored: long}
	}
	blobs := func(digests ...string) (out []artifact.Blob) {
		for _, d := range digests {
			out = append(out, artifact.Blob{Digest: d, Bytes: 1, Stored: long})
		}
		return out
	}
	young := func(m artifact.Manifest) artifact.Manifest { m.Stored = justNow; return m }
	tagged := func(m artifact.Manifest) artifact.Manifest { m.Tags = []string{"v1"}; return m }
	about := func(m artifact.Manifest, subject string) artifact.Manifest { m.Subject = subject; return m }

	for name, tc := range map[string]struct {
		inv       artifact.Inventory
		keep      []artifact.Ref
		opts      artifact.GCOptions
		manifests []string
		blobs     []string
		lost      int
	}{
		"nothing is kept": {
			inv:       artifact.Inventory{Manifests: []artifact.Manifest{man("a", "m", "l")}, Blobs: blobs("m", "l")},
			manifests: []string{"a m"}, blobs: []string{"l", "m"},
		},
		"a kept image": {
			inv:  artifact.Inventory{Manifests: []artifact.Manifest{man("a", "m", "l")}, Blobs: blobs("m", "l")},
			keep: []artifact.Ref{at("a", "m")},
		},
		"kept in one repository, not in another": {
			inv:  artifact.Inventory{Manifests: []artifact.Manifest{man("a", "m", "l"), man("b", "m", "l")}, Blobs: blobs("m", "l")},
			keep: []artifact.Ref{at("a", "m")}, manifests: []string{"b m"},
		},
		"a shared layer": {
			inv:  artifact.Inventory{Manifests: []artifact.Manifest{man("a", "m", "base", "x"), man("a", "n", "base", "y")}, Blobs: blobs("m", "n", "base", "x", "y")},
			keep: []artifact.Ref{at("a", "m")}, manifests: []string{"a n"}, blobs: []string{"n", "y"},
		},
		"an index and its parts": {
			inv:  artifact.Inventory{Manifests: []artifact.Manifest{man("a", "i", "m", "n"), man("a", "m", "x"), man("a", "n", "y")}, Blobs: blobs("i", "m", "n", "x", "y")},
			keep: []artifact.Ref{at("a", "i")},
		},
		"a part without its index": {
			inv:  artifact.Inventory{Manifests: []artifact.Manifest{man("a", "i", "m", "n"), man("a", "m", "x"), man("a", "n", "y")}, Blobs: blobs("i", "m", "n", "x", "y")},
			keep: []artifact.Ref{at("a", "m")}, manifests: []string{"a i", "a n"}, blobs: []string{"i", "n", "y"},
		},
		"what is young": {
			inv: artifact.Inventory{
				Manifests: []artifact.Manifest{young(man("a", "m", "l"))},
				Blobs:     append(blobs("m", "l", "linked"), artifact.Blob{Digest: "new", Stored: justNow}),
				Links:     []artifact.Link{{Ref: at("a", "linked"), Stored: justNow}},
			},
		},
		"a tag": {
			inv: artifact.Inventory{Manifests: []artifact.Manifest{tagged(man("a", "m", "l"))}, Blobs: blobs("m", "l")},
		},
		"a tag that is dropped": {
			inv:  artifact.Inventory{Manifests: []artifact.Manifest{tagged(man("a", "m", "l"))}, Blobs: blobs("m", "l")},
			opts: artifact.GCOptions{DropTags: true}, manifests: []string{"a m"}, blobs: []string{"l", "m"},
		},
		"what is about a kept image, and about that": {
			inv: artifact.Inventory{
				Manifests: []artifact.Manifest{about(man("a", "sig", "s"), "sbom"), about(man("a", "sbom", "b"), "m"), man("a", "m", "l"), about(man("a", "lone"), "gone")},
				Blobs:     blobs("sig", "s", "sbom", "b", "m", "l", "lone"),
			},
			keep: []artifact.Ref{at("a", "m")}, manifests: []string{"a lone"}, blobs: []string{"lone"},
		},
		"a kept image that is gone": {
			inv:  artifact.Inventory{},
			keep: []artifact.Ref{at("a", "m")}, lost: 1,
		},
		"manifests in a circle": {
			inv:  artifact.Inventory{Manifests: []artifact.Manifest{man("a", "m", "n"), man("a", "n", "m")}, Blobs: blobs("m", "n")},
			keep: []artifact.Ref{at("a", "m")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, lost := artifact.PlanGC(tc.inv, tc.keep, tc.opts, now)
			var manifests, gone []string
			for _, m := range g.Manifests {
				manifests = append(manifests, m.Repository+" "+m.Digest)
			}
			for _, b := range g.Blobs {
				gone = append(gone, b.Digest)
			}
			slices.Sort(manifests)
			slices.Sort(gone)
			if !slices.Equal(manifests, tc.manifests) || !slices.Equal(gone, tc.blobs) || len(lost) != tc.lost {
				t.Errorf("manifests %q, blobs %q, %d lost; want %q, %q, %d", manifests, gone, len(lost), tc.manifests, tc.blobs, tc.lost)
			}
		})
	}
}
