// Package intake takes in what apps are to be built of when it comes by the
// protocols of others: some files are known already, the rest is in an archive.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
)

// Store keeps packages and the record of snapshots. Each call is one transaction;
// Together makes one of several.
type Store interface {
	Together(ctx context.Context, do func(ctx context.Context) error) error
	Package(ctx context.Context, id source.PackageID) (source.Package, error)
	AddPackage(ctx context.Context, p source.Package, evs ...event.Event) (source.Package, error)
	UpdatePackage(ctx context.Context, id source.PackageID, change func(*source.Package) error, evs ...event.Event) (source.Package, error)
	AddSnapshot(ctx context.Context, s source.Snapshot, evs ...event.Event) (source.Snapshot, error)
	SnapshotByDigest(ctx context.Context, space app.SpaceID, digest string) (source.Snapshot, error)
}

// Contents keeps files; *source.Store does.
type Contents interface {
	Begin(space app.SpaceID) (*source.Intake, error)
	BySHA1(ctx context.Context, space app.SpaceID, hashes []string) (map[string]source.File, error)
	Content(space app.SpaceID, sha256 string) (io.ReadCloser, error)
	Load(ctx context.Context, space app.SpaceID, digest string) (source.Manifest, error)
}

// Service takes uploads in.
type Service struct {
	store    Store
	contents Contents
	room     func() error // nil while the disk has room for an upload
}

// New makes a service; room refuses uploads while the disk is full.
func New(store Store, contents Contents, room func() error) *Service {
	return &Service{store: store, contents: contents, room: room}
}

// Known returns those of the files that spaces have, by SHA-1 and size: the
// SHA-256 is filled in. Only spaces whose source who asks may read may be named.
func (s *Service) Known(ctx context.Context, spaces []app.SpaceID, files []source.File) ([]source.File, error) {
	if err := feature.Ask(ctx, feature.AppBitsUpload); err != nil {
		return nil, err
	}
	var out []source.File
	left := slices.Clone(files)
	for _, space := range spaces {
		if len(left) == 0 {
			break
		}
		hashes := make([]string, 0, len(left))
		for _, f := range left {
			hashes = append(hashes, f.SHA1)
		}
		have, err := s.contents.BySHA1(ctx, space, hashes)
		if err != nil {
			return nil, err
		}
		rest := left[:0]
		for _, f := range left {
			if found, ok := have[f.SHA1]; ok && found.Size == f.Size {
				f.SHA256 = found.SHA256
				out = append(out, f)
			} else {
				rest = append(rest, f)
			}
		}
		left = rest
	}
	return out, nil
}

// Upload is the taking in of one package. Close it when done, finished or not; it
// is for one goroutine.
type Upload struct {
	s    *Service
	pack source.Package
	in   *source.Intake
	any  bool
}

// ErrTaken says that a package has its files already.
var ErrTaken = fault.New(fault.Conflict, "package", "the package has its files already").WithTry("make another one")

// Begin starts an upload.
func (s *Service) Begin(p source.Package) (*Upload, error) {
	if p.State != source.Awaiting {
		return nil, ErrTaken
	}
	if err := s.room(); err != nil {
		return nil, err
	}
	in, err := s.contents.Begin(p.Space)
	return &Upload{s: s, pack: p, in: in}, err
}

// Close drops what was not kept.
func (u *Upload) Close() { u.in.Close() }

// Reuse adds files that Known found in one of the spaces, to which the package's
// own need not belong. One that is not there any more is a Conflict.
func (u *Upload) Reuse(ctx context.Context, spaces []app.SpaceID, files []source.File) error {
	u.any = true
	for _, space := range append([]app.SpaceID{u.pack.Space}, spaces...) {
		found, err := u.s.Known(ctx, []app.SpaceID{space}, files)
		if err != nil {
			return err
		}
		taken := map[string]bool{}
		for _, f := range found {
			taken[f.Path] = true
			if err := u.take(ctx, space, f); err != nil {
				return err
			}
		}
		files = slices.DeleteFunc(slices.Clone(files), func(f source.File) bool { return taken[f.Path] })
		if len(files) == 0 {
			return nil
		}
	}
	return fault.New(fault.Conflict, files[0].Path, "%d files were said to be known and are not", len(files)).
		WithTry("push again: they are sent then")
}

// take adds a file of a space, by name where it is the package's.
func (u *Upload) take(ctx context.Context, space app.SpaceID, f source.File) error {
	if space == u.pack.Space {
		return u.in.Reuse(f)
	}
	r, err := u.s.contents.Content(space, f.SHA256)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = u.in.Add(ctx, f.Path, f.Mode, r)
	return err
}

// Archive adds the files of an archive.
func (u *Upload) Archive(ctx context.Context, r io.Reader) error {
	u.any = true
	return u.in.AddArchive(ctx, r, archiveName, source.ArchiveOptions{Unpack: true})
}

// archiveName is what clients call all archives of packages.
const archiveName = "package.zip"

// Empty reports that nothing was added yet, not even nothing.
func (u *Upload) Empty() bool { return !u.any }

// Finish makes the package ready. Of two uploads at once the first counts; the
// other is ErrTaken.
func (u *Upload) Finish(ctx context.Context, by operation.Ask) (source.Package, error) {
	snap, err := u.in.Freeze(ctx, source.Origin{Kind: source.Archive, Ref: archiveName})
	if err != nil {
		return u.pack, err
	}
	return u.s.ready(ctx, by, u.pack.ID, snap)
}

func (s *Service) ready(ctx context.Context, by operation.Ask, id source.PackageID, snap source.Snapshot) (p source.Package, err error) {
	err = s.store.Together(ctx, func(ctx context.Context) error {
		if snap, err = s.store.AddSnapshot(ctx, snap, event.Event{Kind: "source.frozen", Actor: by.Actor, Subject: snap.Digest}); err != nil {
			return err
		}
		p, err = s.store.UpdatePackage(ctx, id, func(p *source.Package) error {
			if p.State != source.Awaiting {
				return ErrTaken
			}
			p.State, p.Snapshot = source.Ready, snap.Digest
			return nil
		}, event.Event{Kind: "package.uploaded", Actor: by.Actor, Subject: string(id), Detail: map[string]any{"files": snap.Files, "bytes": snap.Bytes}})
		return err
	})
	return p, err
}

// Spoil ends a package whose upload came whole and cannot be used.
func (s *Service) Spoil(ctx context.Context, by operation.Ask, id source.PackageID, why error) error {
	_, err := s.store.UpdatePackage(ctx, id, func(p *source.Package) error {
		if p.State != source.Awaiting {
			return ErrTaken
		}
		p.State, p.Error = source.Spoilt, fault.Of(why).Message
		return nil
	}, event.Event{Kind: "package.spoilt", Actor: by.Actor, Subject: string(id)})
	if errors.Is(err, ErrTaken) {
		return nil
	}
	return err
}

// Copy makes a package of an app from the files of another's; the app may be in
// another space.
func (s *Service) Copy(ctx context.Context, by operation.Ask, from source.Package, to source.Package) (source.Package, error) {
	if from.State != source.Ready {
		return to, fault.New(fault.Conflict, "package", "package %s is %s: there is nothing to copy", from.ID, from.State)
	}
	snap, err := s.bring(ctx, from, to.Space)
	if err != nil {
		return to, err
	}
	to.Kind, to.State, to.Snapshot = from.Kind, source.Ready, snap.Digest
	err = s.store.Together(ctx, func(ctx context.Context) error {
		if _, err := s.store.AddSnapshot(ctx, snap); err != nil {
			return err
		}
		to, err = s.store.AddPackage(ctx, to, event.Event{Kind: "package.added", Actor: by.Actor, Subject: string(to.ID), Detail: map[string]any{"from": from.ID}})
		return err
	})
	return to, err
}

// bring makes a snapshot of a package's files in a space.
func (s *Service) bring(ctx context.Context, from source.Package, space app.SpaceID) (source.Snapshot, error) {
	snap, err := s.store.SnapshotByDigest(ctx, from.Space, from.Snapshot)
	if err != nil || from.Space == space {
		return snap, err
	}
	if err := s.room(); err != nil {
		return snap, err
	}
	files, err := s.contents.Load(ctx, from.Space, from.Snapshot)
	if err != nil {
		return snap, err
	}
	in, err := s.contents.Begin(space)
	if err != nil {
		return snap, err
	}
	defer in.Close()
	for _, f := range files {
		if err := s.bringOne(ctx, in, from.Space, f); err != nil {
			return snap, fmt.Errorf("copy %s: %w", f.Path, err)
		}
	}
	return in.Freeze(ctx, snap.Origin)
}

func (s *Service) bringOne(ctx context.Context, in *source.Intake, from app.SpaceID, f source.File) error {
	if f.IsLink() {
		return in.Link(f.Path, f.Link)
	}
	r, err := s.contents.Content(from, f.SHA256)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = in.Add(ctx, f.Path, f.Mode, r)
	return err
}
