package api

import (
	"context"
	"io"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/auth/vault"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/observe/logs"
	"naru/internal/observe/meter"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/source"
)

// The services that the handlers call. They are declared here, by their caller;
// where the domain has no type for something the wire type of package client
// stands in, because that package is a leaf. Errors that a user can mend are
// faults; a missing thing is a NotFound.

// Pushes turns source into a running release.
type Pushes interface {
	// Plan says what a push would build. Nothing is kept but a snapshot.
	Plan(ctx context.Context, by operation.Ask, space app.SpaceID, in client.PlanRequest) (source.Snapshot, build.Recipe, error)

	// MayPush says whether a push would be taken; one that would not is an error.
	MayPush(ctx context.Context, by operation.Ask, space app.SpaceID, in client.PushCheck) (client.PushPermit, error)

	// Push makes the app where it is missing and starts the operation "push",
	// whose result is a client.PushResult.
	Push(ctx context.Context, by operation.Ask, space app.SpaceID, in client.Push) (operation.Operation, error)
}

// Lifecycle changes what runs. Each method stores an operation of its own name
// and returns it before it is carried out.
type Lifecycle interface {
	Start(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
	Stop(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
	Restart(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
	// Scale sets the instances wanted of the named process types.
	Scale(ctx context.Context, by operation.Ask, a app.ID, processes map[string]int) (operation.Operation, error)
	// Rollback goes back to a release; "" means the one before the current.
	Rollback(ctx context.Context, by operation.Ask, a app.ID, to release.ID) (operation.Operation, error)
	Delete(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
	// ChangeGroup changes one server group of an app, or makes one.
	ChangeGroup(ctx context.Context, by operation.Ask, a app.ID, in client.GroupChange) (operation.Operation, error)
}

// Rollouts tells how apps are replaced, and steers it.
type Rollouts interface {
	// Rollouts lists an app's rollouts, newest first, at most limit; all for 0.
	Rollouts(ctx context.Context, a app.ID, limit int) ([]rollout.Rollout, error)
	Rollout(ctx context.Context, id rollout.ID) (rollout.Rollout, error)
	SteerRollout(ctx context.Context, id rollout.ID, action rollout.Action, actor string) (rollout.Rollout, error)
}

// Drafts makes apps and edits their drafts.
type Drafts interface {
	CreateApp(ctx context.Context, by operation.Ask, space app.SpaceID, name string) (app.App, error)

	// SetEnv changes the draft's environment; with restart, and where the app
	// runs, it also starts an operation "set-env" that brings the change to the
	// instances. The operation is nil where none was started.
	SetEnv(ctx context.Context, by operation.Ask, a app.ID, change app.EnvChange, restart bool) (app.App, *operation.Operation, error)

	// Rename gives an app another name; a taken one is a Conflict. Its host, its
	// images and its groups keep theirs.
	Rename(ctx context.Context, by operation.Ask, a app.ID, name string) (app.App, error)

	// SetProcesses replaces the draft's overrides of the named process types.
	SetProcesses(ctx context.Context, by operation.Ask, a app.ID, processes map[string]app.Overrides) (app.App, error)
}

// Mapper changes where an app answers.
type Mapper interface {
	// MapRoute adds or replaces a destination of the route with this host, path
	// and condition, which is made where it is missing, and changes its terms. A
	// host of one label is one below the apps domain. A host and path of another
	// space is a Conflict.
	MapRoute(ctx context.Context, by operation.Ask, a app.ID, in client.NewRoute) (route.Route, error)

	// ChangeRoute changes what a route asks of the gateway.
	ChangeRoute(ctx context.Context, by operation.Ask, r route.ID, change route.Change) (route.Route, error)

	// UnmapRoute takes an app's destinations off a route, and the route away when
	// none is left.
	UnmapRoute(ctx context.Context, by operation.Ask, a app.ID, r route.ID) error
}

// TaskRunner runs one-off commands.
type TaskRunner interface {
	// RunTask stores a task, and starts it unless it waits for somebody to
	// attach.
	RunTask(ctx context.Context, by operation.Ask, a app.ID, in client.NewTask) (task.Task, error)
	CancelTask(ctx context.Context, by operation.Ask, t task.ID) (task.Task, error)

	// AttachTask starts a task that waits for it, connected to io, and returns
	// its exit code when it has ended. An end of ctx kills it.
	AttachTask(ctx context.Context, by operation.Ask, t task.ID, io run.IO) (code int, err error)

	// Exec runs a command in the healthiest instance at an index of a process
	// type and returns its exit code. An end of ctx kills it.
	Exec(ctx context.Context, by operation.Ask, a app.ID, process string, index int, x run.ExecSpec) (code int, err error)
}

// Bakery makes foundations.
type Bakery interface {
	// Bake starts the operation "bake", whose result is a client.BakeResult, of a
	// specification in YAML.
	Bake(ctx context.Context, by operation.Ask, spec []byte) (operation.Operation, error)
}

// Upkeep is long work on the platform itself.
type Upkeep interface {
	RotateKey(ctx context.Context, by operation.Ask) (operation.Operation, error)
	CollectGarbage(ctx context.Context, by operation.Ask) (operation.Operation, error)
}

// Apps finds apps.
type Apps interface {
	App(ctx context.Context, a app.ID) (app.App, error)
	AppNamed(ctx context.Context, space app.SpaceID, name string) (app.App, error)
	// AppsAfter lists at most limit apps of a space whose name is above after,
	// by name.
	AppsAfter(ctx context.Context, space app.SpaceID, after string, limit int) ([]app.App, error)
	// AppsByID returns those of the apps that exist, in any order.
	AppsByID(ctx context.Context, apps ...app.ID) ([]app.App, error)
}

// Releases finds releases.
type Releases interface {
	Release(ctx context.Context, r release.ID) (release.Release, error)
	ReleaseNumbered(ctx context.Context, a app.ID, number int) (release.Release, error)
	// Releases lists an app's releases, newest first, at most limit; all for 0.
	Releases(ctx context.Context, a app.ID, limit int) ([]release.Release, error)
	// CurrentReleases returns what each of the apps runs, or would if it were
	// started; apps without one are left out.
	CurrentReleases(ctx context.Context, apps ...app.ID) (map[app.ID]release.Release, error)
}

// Running tells what should run and what does; *store.Store does.
type Running interface {
	// GroupsOfApps returns the groups of the apps, by app, process and sequence.
	GroupsOfApps(ctx context.Context, apps ...app.ID) ([]run.Group, error)
	InstancesIn(ctx context.Context, groups ...run.GroupID) ([]run.Instance, error)
}

// Meter tells what an instance uses; every run.Driver does.
type Meter interface {
	Usage(ctx context.Context, i run.InstanceID) (run.Usage, error)
}

// Metrics tells what the gateways counted.
type Metrics interface {
	// WriteMetrics writes what a reader may see, in Prometheus's text format.
	WriteMetrics(ctx context.Context, w io.Writer, r meter.Reader) error
	// Rates returns what groups did in the last minute, by group id; those without a
	// request are left out.
	Rates(groups ...string) map[string]meter.Rate
	// Requests counts all that groups have answered; ok is false where nobody knows.
	Requests(groups ...string) (n uint64, ok bool)
	// Breakers returns the breakers that are not closed, by group id; of several the
	// one that lets less through.
	Breakers() map[string]route.BreakerState
}

// Sessions lets people in; *auth.Service does.
type Sessions interface {
	Verify(ctx context.Context, token string) (auth.Identity, error)
	Login(ctx context.Context, name string, password secret.Secret) (auth.Tokens, error)
	LoginWithCode(ctx context.Context, code secret.Secret) (auth.Tokens, error)
	Refresh(ctx context.Context, token secret.Secret) (auth.Tokens, error)
	Logout(ctx context.Context, who auth.Identity) error
	ChangePassword(ctx context.Context, who auth.Identity, old, password secret.Secret) error
	SetPassword(ctx context.Context, by string, user auth.UserID, password secret.Secret) error
	CreateUser(ctx context.Context, by, name string, password secret.Secret, roles ...auth.Grant) (auth.User, error)
	APITokens(ctx context.Context, who auth.Identity) ([]auth.APIToken, error)
	NewAPIToken(ctx context.Context, who auth.Identity, name string, lifetime time.Duration) (secret.Secret, auth.APIToken, error)
	RevokeAPIToken(ctx context.Context, who auth.Identity, nameOrID string) error
}

// People keeps users and their roles; *store.Store does.
type People interface {
	User(ctx context.Context, user auth.UserID) (auth.User, error)
	UserNamed(ctx context.Context, name, origin string) (auth.User, error)
	Users(ctx context.Context) ([]auth.User, error)
	DeleteUser(ctx context.Context, user auth.UserID, evs ...event.Event) error
	Grant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error
	Ungrant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error
	// Holdings lists who holds which role in an organisation and its spaces, of
	// one space where it is given, of everything for "" and "".
	Holdings(ctx context.Context, org app.OrgID, space app.SpaceID) ([]auth.Holding, error)
}

// Routes finds routes.
type Routes interface {
	Route(ctx context.Context, r route.ID) (route.Route, error)
	// RoutesAt lists the routes at a host and path in the form of the table.
	RoutesAt(ctx context.Context, host, path string) ([]route.Route, error)
	// RoutesAfter lists at most limit routes of a space whose Name is above
	// after, by Name.
	RoutesAfter(ctx context.Context, space app.SpaceID, after string, limit int) ([]route.Route, error)
	// RoutesOf lists the routes that lead to any of the apps, by Name.
	RoutesOf(ctx context.Context, apps ...app.ID) ([]route.Route, error)
}

// Sources takes source in. Everything belongs to a space: a hash must not become
// a key to the files of another.
type Sources interface {
	Missing(ctx context.Context, space app.SpaceID, hashes []string) ([]string, error)
	Receive(ctx context.Context, space app.SpaceID, tar io.Reader) (source.Received, error)
	// Freeze makes a snapshot and keeps a record of it.
	Freeze(ctx context.Context, by operation.Ask, space app.SpaceID, m source.Manifest, from source.Origin) (source.Snapshot, error)
	// Unpack takes an archive of a kind in and makes a snapshot of it.
	Unpack(ctx context.Context, by operation.Ask, space app.SpaceID, kind client.ArchiveType, archive io.Reader) (source.Snapshot, error)
	// Snapshot finds a snapshot of a space by id or digest.
	Snapshot(ctx context.Context, space app.SpaceID, idOrDigest string) (source.Snapshot, error)
}

// Logs reads what apps say; *logs.Book does.
type Logs interface {
	Read(ctx context.Context, q logs.Query) (logs.Page, error)
	Tail(ctx context.Context, q logs.Query) (logs.Page, error)
	// End is the cursor after the newest line of an app.
	End(ctx context.Context, a app.ID) (logs.Cursor, error)
	// Changed returns a channel that gets a value after lines were appended.
	Changed(a app.ID) (<-chan struct{}, func())
}

// Places keeps organisations and spaces; *store.Store does.
type Places interface {
	Orgs(ctx context.Context) ([]app.Org, error)
	Org(ctx context.Context, org app.OrgID) (app.Org, error)
	OrgNamed(ctx context.Context, name string) (app.Org, error)
	CreateOrg(ctx context.Context, name string, evs ...event.Event) (app.Org, error)
	// RenameOrg and RenameSpace refuse places that have apps.
	RenameOrg(ctx context.Context, org app.OrgID, name string, evs ...event.Event) (app.Org, error)
	DeleteOrg(ctx context.Context, org app.OrgID, evs ...event.Event) error

	// Spaces lists the spaces of an organisation, those of all for "".
	Spaces(ctx context.Context, org app.OrgID) ([]app.Space, error)
	Space(ctx context.Context, space app.SpaceID) (app.Space, error)
	SpaceNamed(ctx context.Context, org, name string) (app.Space, error)
	CreateSpace(ctx context.Context, org app.OrgID, name string, evs ...event.Event) (app.Space, error)
	UpdateSpace(ctx context.Context, space app.SpaceID, change func(*app.Space) error, evs ...event.Event) (app.Space, error)
	RenameSpace(ctx context.Context, space app.SpaceID, name string, evs ...event.Event) (app.Space, error)
	DeleteSpace(ctx context.Context, space app.SpaceID, evs ...event.Event) error
}

// Tasks finds tasks.
type Tasks interface {
	Task(ctx context.Context, t task.ID) (task.Task, error)
	TaskNumbered(ctx context.Context, a app.ID, number int) (task.Task, error)
	// TasksBefore lists at most limit tasks of an app with a number below before
	// (0: all), newest first.
	TasksBefore(ctx context.Context, a app.ID, before, limit int) ([]task.Task, error)
}

// Operations finds long work and tells how it goes.
type Operations interface {
	Operation(ctx context.Context, o operation.ID) (operation.Operation, error)
	Operations(ctx context.Context, f operation.Filter) ([]operation.Operation, error)
	CancelOperation(ctx context.Context, by operation.Ask, o operation.ID) (operation.Operation, error)
	// Progress returns at most limit lines with a Seq above after.
	Progress(ctx context.Context, o operation.ID, after int64, limit int) ([]operation.Progress, error)
	// AwaitProgress returns when the operation has a line above after, or has
	// ended; or with the context's error.
	AwaitProgress(ctx context.Context, o operation.ID, after int64) error
}

// Events reads the record of what happened.
type Events interface {
	// EventsBefore lists at most limit events with a Seq below before (0: all),
	// newest first, of a space, an app and a kind; "" does not narrow.
	EventsBefore(ctx context.Context, space app.SpaceID, a app.ID, kind event.Kind, before int64, limit int) ([]event.Event, error)
}

// Foundations finds the images that builds stand on.
type Foundations interface {
	Foundations(ctx context.Context) ([]artifact.Foundation, error)
	Foundation(ctx context.Context, name string) (artifact.Foundation, error)
	// Lock returns a foundation's lock file, SBOM what is in it as CycloneDX JSON.
	Lock(ctx context.Context, f artifact.Foundation) ([]byte, error)
	SBOM(ctx context.Context, f artifact.Foundation) ([]byte, error)
}

// Credentials keeps what opens private git hosts and registries.
type Credentials interface {
	Credentials(ctx context.Context, space app.SpaceID) ([]vault.Credential, error)
	// SetCredential tries a credential against its host and keeps it sealed; By,
	// Created and Updated are filled in. Where Kind is "" it is found by trying.
	SetCredential(ctx context.Context, by operation.Ask, c vault.Credential, password secret.Secret) (vault.Credential, error)
	// DeleteCredential forgets the credentials of a kind ("": all) for a host.
	DeleteCredential(ctx context.Context, by operation.Ask, space app.SpaceID, host string, kind vault.Kind) error
}

// Platform tells about the server itself.
type Platform interface {
	Info(ctx context.Context) (client.Info, error)
	// Waiting names the parts that are not ready; none: the server is.
	Waiting(ctx context.Context) []string
	Doctor(ctx context.Context) ([]client.Finding, error)
	Builders(ctx context.Context) ([]client.Builder, error)
	// Backup writes a backup of everything but, unless asked, the key for secrets.
	Backup(ctx context.Context, w io.Writer, withKey bool) error
}
