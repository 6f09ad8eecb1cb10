// Package packs keeps the classic buildpacks that people upload, in the order in
// which they are asked whether an app is theirs.
package packs

import (
	"context"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
)

// Most is how many buildpacks a platform keeps.
const Most = 64

// Store keeps buildpacks; each call is one transaction.
type Store interface {
	Buildpacks(ctx context.Context) ([]source.Buildpack, error)
	Buildpack(ctx context.Context, id source.BuildpackID) (source.Buildpack, error)
	AddBuildpack(ctx context.Context, b source.Buildpack, most int, evs ...event.Event) (source.Buildpack, error)
	UpdateBuildpack(ctx context.Context, id source.BuildpackID, change func(*source.Buildpack) error, evs ...event.Event) (source.Buildpack, error)
	DeleteBuildpack(ctx context.Context, id source.BuildpackID, evs ...event.Event) error
}

// Contents keeps files; *source.Store does.
type Contents interface {
	Begin(space app.SpaceID) (*source.Intake, error)
	Freeze(ctx context.Context, space app.SpaceID, m source.Manifest, origin source.Origin) (source.Snapshot, error)
	Load(ctx context.Context, space app.SpaceID, digest string) (source.Manifest, error)
	Content(space app.SpaceID, sha256 string) (io.ReadCloser, error)
}

// Shelf is where buildpacks are.
type Shelf struct {
	store    Store
	contents Contents
	room     func() error // nil while the disk has room for an upload
}

// New makes a shelf; room refuses uploads while the disk is full.
func New(store Store, contents Contents, room func() error) *Shelf {
	return &Shelf{store: store, contents: contents, room: room}
}

// All lists the buildpacks in their order.
func (s *Shelf) All(ctx context.Context) ([]source.Buildpack, error) { return s.store.Buildpacks(ctx) }

// One finds a buildpack.
func (s *Shelf) One(ctx context.Context, id source.BuildpackID) (source.Buildpack, error) {
	return s.store.Buildpack(ctx, id)
}

// Change is what a buildpack is to become; nil stays as it is.
type Change struct {
	Name     *string
	Stack    *string
	Position *int
	Enabled  *bool
	Locked   *bool
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// CheckName refuses names that no buildpack can have.
func CheckName(name string) error {
	if len(name) > 250 || !nameForm.MatchString(name) {
		return fault.New(fault.Invalid, "name", "a buildpack's name has 1 to 250 letters, digits, underscores and hyphens").WithTry("another name")
	}
	return nil
}

// apply changes a buildpack, unless something about the change is wrong.
func (c Change) apply(b *source.Buildpack) error {
	if c.Name != nil {
		if err := CheckName(*c.Name); err != nil {
			return err
		}
		b.Name = *c.Name
	}
	if c.Stack != nil && *c.Stack != b.Stack {
		if !Stack(*c.Stack) {
			return fault.New(fault.Invalid, "stack", "the stack %q does not exist for buildpacks: they are made for cflinuxfs4 and its like", *c.Stack).WithTry("leave the stack out")
		}
		if b.Stack != "" {
			return fault.New(fault.Invalid, "stack", "the buildpack is made for the stack %s, which cannot be changed", b.Stack).WithTry("upload it again under another name")
		}
		b.Stack = *c.Stack
	}
	if c.Position != nil {
		if *c.Position < 1 {
			return fault.New(fault.Invalid, "position", "a position is a number from 1 on")
		}
		b.Position = *c.Position
	}
	if c.Enabled != nil {
		b.Enabled = *c.Enabled
	}
	if c.Locked != nil {
		b.Locked = *c.Locked
	}
	return nil
}

// Create keeps a buildpack that waits for its files. Without a position it is the
// first; it can be used unless the change says otherwise.
func (s *Shelf) Create(ctx context.Context, by operation.Ask, c Change) (source.Buildpack, error) {
	b := source.Buildpack{ID: source.BuildpackID(id.New()), Position: 1, Enabled: true}
	if c.Name == nil {
		c.Name = new(string)
	}
	if err := c.apply(&b); err != nil {
		return b, err
	}
	return s.store.AddBuildpack(ctx, b, Most, event.Event{Kind: "buildpack.created", Actor: by.Actor, Subject: b.Name})
}

// Change changes a buildpack. Builds that are on their way keep what they began
// with.
func (s *Shelf) Change(ctx context.Context, by operation.Ask, id source.BuildpackID, c Change) (source.Buildpack, error) {
	have, err := s.store.Buildpack(ctx, id)
	if err != nil {
		return have, err
	}
	return s.store.UpdateBuildpack(ctx, id, c.apply, event.Event{Kind: "buildpack.changed", Actor: by.Actor, Subject: have.Name})
}

// Delete forgets a buildpack. What was built with it runs on.
func (s *Shelf) Delete(ctx context.Context, by operation.Ask, id source.BuildpackID) error {
	have, err := s.store.Buildpack(ctx, id)
	if err != nil {
		return err
	}
	return s.store.DeleteBuildpack(ctx, id, event.Event{Kind: "buildpack.deleted", Actor: by.Actor, Subject: have.Name})
}

// Upload gives a buildpack its files, out of an archive. What came whole and
// cannot be used is noted with the buildpack, whose files stay what they were; any
// other error is of the upload alone.
func (s *Shelf) Upload(ctx context.Context, by operation.Ask, id source.BuildpackID, filename string, r io.Reader) (source.Buildpack, error) {
	have, err := s.store.Buildpack(ctx, id)
	if err != nil {
		return have, err
	}
	if err := unlocked(have); err != nil {
		return have, err
	}
	if err := s.room(); err != nil {
		return have, err
	}
	filename = path.Base(strings.ReplaceAll(filename, `\`, "/"))
	filename = filename[max(0, len(filename)-255):]
	in := &sender{r: r}
	took, trouble := s.takeIn(ctx, filename, in)
	if f := fault.Of(trouble); trouble != nil && (in.err != nil || f.Kind != fault.Invalid && f.Kind != fault.TooLarge && f.Kind != fault.Unsupported) {
		return have, trouble
	}
	out, err := s.store.UpdateBuildpack(ctx, id, func(b *source.Buildpack) error {
		if err := unlocked(*b); err != nil {
			return err
		}
		if trouble == nil {
			trouble = fits(*b, took.stack)
		}
		if trouble != nil {
			b.Trouble, b.Error = troubleOf(trouble)
			return nil
		}
		b.Trouble, b.Error = source.NoTrouble, ""
		b.Digest, b.Filename = took.digest, filename
		if took.stack != "" {
			b.Stack = took.stack
		}
		return nil
	}, event.Event{Kind: "buildpack.uploaded", Actor: by.Actor, Subject: have.Name, Detail: map[string]any{"file": filename}})
	if fault.Is(err, fault.Conflict) && took.stack != "" && have.Stack == "" { // another has the name on the stack that the files name
		message := fault.Of(err).Message
		out, err = s.store.UpdateBuildpack(ctx, id, func(b *source.Buildpack) error {
			b.Trouble, b.Error = source.StackTaken, message
			return nil
		})
	}
	return out, err
}

// unlocked refuses files for a buildpack that keeps those it has.
func unlocked(b source.Buildpack) error {
	if b.Locked {
		return fault.New(fault.Conflict, "buildpack", "the buildpack %s is locked: its files stay as they are", b.Name).WithTry("naru buildpack set %s --unlock", b.Name)
	}
	return nil
}

// fits refuses files that are made for another stack than the buildpack's.
func fits(b source.Buildpack, stack string) error {
	if stack != "" && b.Stack != "" && stack != b.Stack {
		return fault.New(fault.Invalid, string(source.StackDiffers), "its manifest.yml is for the stack %s, the buildpack for %s", stack, b.Stack)
	}
	return nil
}

// troubleOf reads what is wrong from an error's field, where takeIn and fits leave
// it.
func troubleOf(err error) (source.Trouble, string) {
	f := fault.Of(err)
	switch t := source.Trouble(f.Field); t {
	case source.NoBuildpack, source.StackUnknown, source.StackDiffers:
		return t, f.Message
	default:
		return source.BadArchive, f.Field + ": " + f.Message
	}
}

// sender remembers that what was sent broke off.
type sender struct {
	r   io.Reader
	err error
}

func (s *sender) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// NoStack names, among buildpacks of one name, the one that is made for any stack.
const NoStack = "none"

// Named finds a buildpack by its name, and by its stack where there are several of
// that name; "" is any stack, NoStack none.
func (s *Shelf) Named(ctx context.Context, name, stack string) (source.Buildpack, error) {
	all, err := s.store.Buildpacks(ctx)
	if err != nil {
		return source.Buildpack{}, err
	}
	var fit []source.Buildpack
	for _, b := range all {
		if b.Name == name && (stack == "" || stack == b.Stack || stack == NoStack && b.Stack == "") {
			fit = append(fit, b)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return source.Buildpack{}, fault.New(fault.Conflict, "stack", "there are %d buildpacks %s, for different stacks", len(fit), name).
			WithTry("say which with --stack: naru buildpacks lists them, %s is the one without", NoStack)
	case stack != "":
		return source.Buildpack{}, fault.New(fault.NotFound, "buildpack", "buildpack %q for the stack %s does not exist", name, stack).WithTry("naru buildpacks")
	}
	return source.Buildpack{}, fault.New(fault.NotFound, "buildpack", "buildpack %q does not exist", name).WithTry("naru buildpacks")
}

// Refused is why the last files that came for a buildpack were not taken; nil where
// they were.
func Refused(b source.Buildpack) error {
	if b.Trouble == source.NoTrouble {
		return nil
	}
	return fault.New(fault.Invalid, "files", "%s", b.Error).WithTry("upload a zip, tar or tar.gz with bin/supply, bin/finalize or bin/compile, made for a cflinuxfs stack or for none; the files it had stay")
}
