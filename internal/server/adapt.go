package server

import (
	"context"
	"io"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth/vault"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/disk"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/provide"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/source/git"
	"naru/internal/store"
)

// The small pieces that plug one step into another; none decides anything.

// sources freezes what is uploaded and keeps a record of it.
type sources struct {
	*source.Store
	store   *store.Store
	reserve disk.Reserve
}

func (s sources) Receive(ctx context.Context, space app.SpaceID, body io.Reader) (source.Received, error) {
	if err := s.reserve.Check("uploads"); err != nil {
		return source.Received{}, err
	}
	got, err := s.Store.Receive(ctx, space, body)
	return got, disk.Explain(err, s.reserve.Path)
}

func (s sources) Freeze(ctx context.Context, by operation.Ask, space app.SpaceID, m source.Manifest, from source.Origin) (source.Snapshot, error) {
	if err := s.reserve.Check("uploads"); err != nil {
		return source.Snapshot{}, err
	}
	snap, err := s.Store.Freeze(ctx, space, m, from)
	return s.record(ctx, by, snap, disk.Explain(err, s.reserve.Path))
}

// Checkout writes a snapshot's files into a folder, for a build.
func (s sources) Checkout(ctx context.Context, snap source.Snapshot, dir string) error {
	if err := s.reserve.Check("builds"); err != nil {
		return err
	}
	return disk.Explain(s.Store.Checkout(ctx, snap, dir), s.reserve.Path)
}

func (s sources) Unpack(ctx context.Context, by operation.Ask, space app.SpaceID, kind client.ArchiveType, archive io.Reader) (source.Snapshot, error) {
	names := map[client.ArchiveType]string{client.Zip: "upload.zip", client.Tar: "upload.tar", client.TarGz: "upload.tar.gz"}
	if err := s.reserve.Check("uploads"); err != nil {
		return source.Snapshot{}, err
	}
	snap, err := s.FromArchive(ctx, space, archive, names[kind], source.ArchiveOptions{})
	return s.record(ctx, by, snap, disk.Explain(err, s.reserve.Path))
}

func (s sources) record(ctx context.Context, by operation.Ask, snap source.Snapshot, err error) (source.Snapshot, error) {
	if err != nil {
		return snap, err
	}
	return s.store.AddSnapshot(ctx, snap, event.Event{Kind: "source.frozen", Actor: by.Actor, Subject: snap.Digest})
}

func (s sources) Snapshot(ctx context.Context, space app.SpaceID, ref string) (source.Snapshot, error) {
	if !id.Valid(ref) {
		return s.store.SnapshotByDigest(ctx, space, ref)
	}
	snap, err := s.store.Snapshot(ctx, ref)
	if err == nil && snap.Space != space {
		return source.Snapshot{}, fault.New(fault.NotFound, "snapshot", "snapshot %q does not exist", ref)
	}
	return snap, err
}

// cloner fetches repositories with the credentials of a space.
type cloner struct {
	git     *git.Client
	source  *source.Store
	vault   *vault.Vault
	reserve disk.Reserve
}

func (c cloner) Clone(ctx context.Context, space app.SpaceID, url, ref, _ string, _ func(string)) (source.Snapshot, error) {
	var creds git.Credentials
	if host := hostOf(url); host != "" {
		known, password, ok, err := c.vault.Credential(ctx, space, host, vault.Git)
		if err != nil {
			return source.Snapshot{}, err
		}
		if ok {
			creds.User, creds.Password = known.Username, password
		}
	}
	if ref != "" {
		url += "#" + ref
	}
	if err := c.reserve.Check("uploads"); err != nil {
		return source.Snapshot{}, err
	}
	snap, err := c.git.Snapshot(ctx, c.source, space, url, creds)
	return snap, disk.Explain(err, c.reserve.Path)
}

// imports brings images of other registries in, with the credentials of a space.
type imports struct {
	registry *artifact.Client
	vault    *vault.Vault
	here     string               // host of our own registry,
	own      artifact.Credentials // and what opens it
	spaceOf  func(ctx context.Context, repository string) (app.Space, bool, error)
}

// mine are the platform's own credentials for an image in our registry that is
// the space's already, so that nobody makes a credential for their own images.
func (i imports) mine(ctx context.Context, space app.SpaceID, reference string) (artifact.Credentials, bool, error) {
	ref, err := name.ParseReference(reference)
	if err != nil || ref.Context().RegistryStr() != i.here {
		return artifact.Credentials{}, false, nil
	}
	owner, ok, err := i.spaceOf(ctx, ref.Context().RepositoryStr())
	return i.own, ok && owner.ID == space, err
}

func (i imports) Import(ctx context.Context, space app.SpaceID, reference, repository string, login artifact.Credentials) (artifact.Image, error) {
	creds, ours, err := i.mine(ctx, space, reference)
	if err != nil {
		return artifact.Image{}, err
	}
	if login.User != "" && !ours {
		creds = login
	} else if host := registryHost(reference); host != "" && !ours {
		creds = artifact.Credentials{}
		known, password, ok, err := i.vault.Credential(ctx, space, host, vault.Registry)
		if err != nil {
			return artifact.Image{}, err
		}
		if ok {
			creds = artifact.Credentials{User: known.Username, Password: password}
		}
	}
	ref, cfg, err := i.registry.Import(ctx, reference, creds, repository)
	if err != nil {
		return artifact.Image{}, err
	}
	_, size, err := i.registry.Inspect(ctx, ref)
	return artifact.Image{
		ID: artifact.ID(id.New()), Ref: ref, Origin: reference, Processes: artifact.ProcessesOf(cfg), Bytes: size,
	}, err
}

// foundationImages is the registry as the foundry uses it.
type foundationImages struct{ *artifact.Client }

func (f foundationImages) Push(ctx context.Context, img v1.Image, repository string) (artifact.Ref, error) {
	return f.Client.Push(ctx, img, repository)
}

func (f foundationImages) Size(ctx context.Context, ref artifact.Ref) (int64, error) {
	_, size, err := f.Inspect(ctx, ref)
	return size, err
}

func (f foundationImages) Take(ctx context.Context, reference, repository string) (artifact.Ref, error) {
	ref, _, err := f.Import(ctx, reference, artifact.Credentials{}, repository)
	return ref, err
}

// builds adds what the platform knows to a request, and remembers what was built.
type builds struct {
	next        build.Builder
	foundations build.Foundations
	store       *store.Store
	around      *around
	target      build.Target // but for the repository
	mirrors     build.Mirrors
	timeout     time.Duration
	unable      error // why this platform builds nothing; nil where it does
}

func (b builds) Build(ctx context.Context, req build.Request) (build.Result, error) {
	if b.unable != nil { // before foundations are baked for nothing
		return build.Result{}, b.unable
	}
	given, err := provide.Variables(ctx, b.store, provide.Staging)
	if err != nil {
		return build.Result{}, err
	}
	if len(given) > 0 { // none must not change what a build is known by
		maps.Copy(given, req.Env) // what the app says comes first
		req.Env = given
	}
	if err := b.around.hand(ctx, &req); err != nil {
		return build.Result{}, err
	}
	repository := req.Target.Repository
	req.Target = b.target
	req.Target.Repository, req.Mirrors, req.Timeout = repository, b.mirrors, b.timeout
	builder := build.Remembering(b.next, builtImages{b.store, req.Space, repository})
	return build.Resolving(builder, b.foundations).Build(ctx, req)
}

// builtImages finds what was built for a repository, by recipe key. Keeping it
// is the push's business: the image belongs to an app.
type builtImages struct {
	store      *store.Store
	space      app.SpaceID
	repository string
}

func (b builtImages) Image(ctx context.Context, key string) (build.Result, bool, error) {
	img, err := b.store.ImageByRecipe(ctx, b.space, "", key)
	if fault.Is(err, fault.NotFound) || err == nil && img.Ref.Repository != b.repository {
		return build.Result{}, false, nil
	}
	return build.Result{
		Ref: img.Ref, RecipeKey: img.RecipeKey, Foundation: img.Foundation, Origin: img.Origin, Processes: img.Processes, Bytes: img.Bytes,
	}, err == nil, err
}

func (builtImages) Keep(context.Context, build.Result) error { return nil }

// opener opens secret settings for those who start instances.
type opener struct{ *vault.Vault }

func (o opener) Open(ctx context.Context, a app.ID, names []string) (map[string]secret.Secret, error) {
	return o.Secrets(ctx, a, names)
}

// tasks runs one-off commands as the API asks for them.
type tasks struct {
	*task.Runner
	store    *store.Store
	delivery *deliver.Service
}

func (t tasks) RunTask(ctx context.Context, by operation.Ask, a app.ID, in client.NewTask) (task.Task, error) {
	rel, err := t.release(ctx, by, a, in.Release)
	if err != nil {
		return task.Task{}, err
	}
	return t.Start(ctx, by, a, task.New{
		Name: in.Name, Command: in.Command, Release: rel, MemoryMiB: in.MemoryMiB, DiskMiB: in.DiskMiB, Attach: in.Attach, TTY: in.TTY,
	})
}

func (t tasks) release(ctx context.Context, by operation.Ask, a app.ID, name string) (release.Release, error) {
	if name == "" {
		return t.delivery.ForTask(ctx, by, a)
	}
	if id.Valid(name) {
		return t.store.Release(ctx, release.ID(name))
	}
	number, err := release.ParseNumber(name)
	if err != nil {
		return release.Release{}, err
	}
	return t.store.ReleaseNumbered(ctx, a, number)
}

func (t tasks) CancelTask(ctx context.Context, by operation.Ask, id task.ID) (task.Task, error) {
	return t.Cancel(ctx, by, id)
}

func (t tasks) AttachTask(ctx context.Context, _ operation.Ask, id task.ID, io run.IO) (int, error) {
	return t.Attach(ctx, id, io)
}

func (t tasks) Exec(ctx context.Context, by operation.Ask, a app.ID, process string, index int, x run.ExecSpec) (int, error) {
	of, err := t.store.App(ctx, a)
	if err != nil {
		return 0, err
	}
	space, err := t.store.Space(ctx, of.Space)
	if err != nil {
		return 0, err
	}
	if err := app.CheckSSH(space, of); err != nil {
		return 0, err
	}
	if err := t.store.AppendEvents(ctx, event.Event{
		Kind: "app.exec", Actor: by.Actor, App: string(a), Subject: process, Detail: map[string]any{"index": index},
	}); err != nil {
		return 0, err
	}
	return t.Runner.Exec(ctx, a, process, index, x)
}

// operations tells the runner when somebody asks an operation to stop.
type operations struct {
	*store.Store
	runner *operation.Runner
}

func (o operations) CancelOperation(ctx context.Context, by operation.Ask, id operation.ID) (operation.Operation, error) {
	op, err := o.Store.CancelOperation(ctx, by, id)
	if err == nil {
		o.runner.Cancel(id)
	}
	return op, err
}

// handlers joins the operations of several services.
func handlers(all ...map[operation.Kind]operation.Handler) map[operation.Kind]operation.Handler {
	out := map[operation.Kind]operation.Handler{}
	for _, one := range all {
		maps.Copy(out, one)
	}
	return out
}

// hostOf returns the host of a repository's URL, in any of git's forms.
func hostOf(raw string) string {
	raw, _, _ = strings.Cut(raw, "#")
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return u.Host
	}
	_, rest, _ := strings.Cut("@"+raw, "@") // user@host:path
	if _, after, ok := strings.Cut(rest, "@"); ok {
		rest = after
	}
	host, _, _ := strings.Cut(rest, ":")
	return host
}

// registryHost returns the host of an image reference.
func registryHost(reference string) string {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return ""
	}
	return ref.Context().RegistryStr()
}
