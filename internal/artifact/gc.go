package artifact

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Shelf is where images are kept, as garbage collection needs it.
type Shelf interface {
	// Hold keeps changes out until release is called; reads go on. It waits for
	// changes under way.
	Hold(ctx context.Context) (release func(), err error)
	// Inventory lists all there is. It fails where a manifest cannot be read:
	// what it needs would be unknown.
	Inventory(ctx context.Context) (Inventory, error)
	// Remove removes, and says how much it freed. What is gone already is no
	// error.
	Remove(ctx context.Context, g Garbage) (bytes int64, err error)
}

// Inventory is all that a shelf holds.
type Inventory struct {
	Manifests []Manifest
	Links     []Link
	Blobs     []Blob
	Uploads   []Upload
}

// Manifest is an image, an index or another thing that names blobs, in one
// repository.
type Manifest struct {
	Ref
	Needs   []string  // digests of blobs and manifests
	Subject string    // digest of what it is about (a signature, an SBOM); "" for none
	Tags    []string  // that point to it
	Stored  time.Time // or last asked for
}

// Link lets a repository use a blob.
type Link struct {
	Ref
	Stored time.Time
}

// Blob is content, shared by all repositories.
type Blob struct {
	Digest string
	Bytes  int64
	Stored time.Time // or last asked for
}

// Upload is one that was begun and not ended.
type Upload struct {
	Repository string
	ID         string
	Bytes      int64
	Stored     time.Time // last written
}

// Garbage is what a collection removes, in this order: a crash in between leaves
// more garbage and never a manifest without its blobs.
type Garbage struct {
	Manifests []Manifest
	Links     []Ref
	Blobs     []Blob
	Uploads   []Upload
	Before    time.Time // what was asked for later stays, found out at the last moment
}

// GCOptions say what counts as garbage. Zero fields mean the default.
type GCOptions struct {
	Young     time.Duration // age up to which everything stays; 1 hour
	UploadAge time.Duration // age up to which begun uploads stay; 24 hours
	DropTags  bool          // a tag alone does not keep an image; naru itself tags nothing, so tags are people's wish
	Wait      time.Duration // for changes under way; 30 seconds
}

// Defaults of GCOptions.
const (
	DefaultYoung     = time.Hour
	DefaultUploadAge = 24 * time.Hour
	DefaultGCWait    = 30 * time.Second
)

func (o GCOptions) filled() GCOptions {
	o.Young = cmp.Or(o.Young, DefaultYoung)
	o.UploadAge = cmp.Or(o.UploadAge, DefaultUploadAge)
	o.Wait = cmp.Or(o.Wait, DefaultGCWait)
	return o
}

// Collected says what a collection did.
type Collected struct {
	Manifests, Blobs, Uploads int
	Bytes                     int64 // freed
	Lost                      []Ref // kept images that are not on the shelf: they cannot be started any more
}

// GC removes what nobody needs: neither a kept image, nor a tag (unless dropped),
// nor anything stored or asked for within the last hour, directly or through an
// index. kept is read while changes are held, so it may simply ask the store;
// where it fails, nothing is removed.
func GC(ctx context.Context, shelf Shelf, kept iter.Seq2[Ref, error], opts GCOptions) (Collected, error) {
	opts = opts.filled()
	waiting, stop := context.WithTimeout(ctx, opts.Wait)
	defer stop()
	release, err := shelf.Hold(waiting)
	if err != nil {
		return Collected{}, fmt.Errorf("collect garbage: %w", err)
	}
	defer release()
	var keep []Ref
	for ref, err := range kept {
		if err != nil {
			return Collected{}, fmt.Errorf("collect garbage: list what is needed: %w", err)
		}
		keep = append(keep, ref)
	}
	inv, err := shelf.Inventory(ctx)
	if err != nil {
		return Collected{}, fmt.Errorf("collect garbage: %w", err)
	}
	g, lost := PlanGC(inv, keep, opts, time.Now())
	freed, err := shelf.Remove(ctx, g)
	if err != nil {
		err = fmt.Errorf("collect garbage: %w", err)
	}
	return Collected{len(g.Manifests), len(g.Blobs), len(g.Uploads), freed, lost}, err
}

// PlanGC decides what of an inventory is garbage, and which kept images are
// missing from it.
func PlanGC(inv Inventory, keep []Ref, opts GCOptions, now time.Time) (g Garbage, lost []Ref) {
	opts = opts.filled()
	g.Before = now.Add(-opts.Young)
	m := newMarks(inv)
	for _, ref := range keep {
		if !m.mark(ref) {
			lost = append(lost, ref)
		}
	}
	for _, man := range inv.Manifests {
		if man.Stored.After(g.Before) || len(man.Tags) > 0 && !opts.DropTags {
			m.mark(man.Ref)
		}
	}
	m.markSubjects(inv)
	for _, man := range inv.Manifests {
		if !m.manifests[man.Ref] {
			g.Manifests = append(g.Manifests, man)
		}
	}
	for _, l := range inv.Links {
		if l.Stored.After(g.Before) || m.links[l.Ref] {
			m.blobs[l.Digest] = true
			continue
		}
		g.Links = append(g.Links, l.Ref)
	}
	for _, b := range inv.Blobs {
		if !b.Stored.After(g.Before) && !m.blobs[b.Digest] {
			g.Blobs = append(g.Blobs, b)
		}
	}
	for _, u := range inv.Uploads {
		if u.Stored.Before(now.Add(-opts.UploadAge)) {
			g.Uploads = append(g.Uploads, u)
		}
	}
	return g, lost
}

// marks is what turned out to be needed.
type marks struct {
	byRef     map[Ref]Manifest
	manifests map[Ref]bool
	links     map[Ref]bool
	blobs     map[string]bool
}

func newMarks(inv Inventory) *marks {
	m := &marks{map[Ref]Manifest{}, map[Ref]bool{}, map[Ref]bool{}, map[string]bool{}}
	for _, man := range inv.Manifests {
		m.byRef[man.Ref] = man
	}
	return m
}

// mark keeps a manifest and all it needs. It reports whether the manifest is
// there.
func (m *marks) mark(ref Ref) bool {
	if _, ok := m.byRef[ref]; !ok {
		return false
	}
	for todo := []Ref{ref}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		man, ok := m.byRef[at]
		if !ok || m.manifests[at] {
			continue
		}
		m.manifests[at], m.blobs[at.Digest], m.links[at] = true, true, true
		for _, digest := range man.Needs {
			need := Ref{at.Repository, digest}
			m.blobs[digest], m.links[need] = true, true
			todo = append(todo, need)
		}
	}
	return true
}

// markSubjects keeps what is about something kept, and what is about that.
func (m *marks) markSubjects(inv Inventory) {
	about := slices.DeleteFunc(slices.Clone(inv.Manifests), func(man Manifest) bool { return man.Subject == "" })
	for again := true; again; {
		again = false
		for _, man := range about {
			if !m.manifests[man.Ref] && m.manifests[Ref{man.Repository, man.Subject}] {
				m.mark(man.Ref)
				again = true
			}
		}
	}
}
