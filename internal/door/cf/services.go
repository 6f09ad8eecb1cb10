package cf

import (
	"context"
	"crypto/ecdsa"
	"io"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/intake"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/packs"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/source"
)

// Key is what access tokens are signed with; *auth.Key is.
type Key interface {
	Public() *ecdsa.PublicKey
	ID() string
}

// Sessions lets people in; *auth.Service does.
type Sessions interface {
	Verify(ctx context.Context, token string) (auth.Identity, error)
	Login(ctx context.Context, name string, password secret.Secret) (auth.Tokens, error)
	LoginWithCode(ctx context.Context, code secret.Secret) (auth.Tokens, error)
	Exchange(ctx context.Context, name string, token secret.Secret, client bool) (auth.Tokens, error)
	Refresh(ctx context.Context, token secret.Secret) (auth.Tokens, error)
	Standing(ctx context.Context, t auth.Tokens) (auth.Tokens, error)
	RevokeAccess(ctx context.Context, who auth.Identity, token string) error
	ChangePassword(ctx context.Context, who auth.Identity, old, password secret.Secret) error
	SetPassword(ctx context.Context, by string, user auth.UserID, password secret.Secret) error
	CreateUser(ctx context.Context, by, name string, password secret.Secret, roles ...auth.Grant) (auth.User, error)
}

// People keeps users and their roles; *store.Store does.
type People interface {
	User(ctx context.Context, user auth.UserID) (auth.User, error)
	UserNamed(ctx context.Context, name, origin string) (auth.User, error)
	Users(ctx context.Context) ([]auth.User, error)
	DeleteUser(ctx context.Context, user auth.UserID, evs ...event.Event) error
	Grant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error
	Ungrant(ctx context.Context, user auth.UserID, g auth.Grant, evs ...event.Event) error
	Holdings(ctx context.Context, org app.OrgID, space app.SpaceID) ([]auth.Holding, error)
}

// Places keeps organisations and spaces; *store.Store does.
type Places interface {
	Orgs(ctx context.Context) ([]app.Org, error)
	Org(ctx context.Context, org app.OrgID) (app.Org, error)
	CreateOrg(ctx context.Context, name string, evs ...event.Event) (app.Org, error)
	RenameOrg(ctx context.Context, org app.OrgID, name string, evs ...event.Event) (app.Org, error)
	DeleteOrg(ctx context.Context, org app.OrgID, evs ...event.Event) error
	Spaces(ctx context.Context, org app.OrgID) ([]app.Space, error)
	Space(ctx context.Context, space app.SpaceID) (app.Space, error)
	CreateSpace(ctx context.Context, org app.OrgID, name string, evs ...event.Event) (app.Space, error)
	RenameSpace(ctx context.Context, space app.SpaceID, name string, evs ...event.Event) (app.Space, error)
	DeleteSpace(ctx context.Context, space app.SpaceID, evs ...event.Event) error
}

// Apps finds apps; *store.Store does.
type Apps interface {
	App(ctx context.Context, a app.ID) (app.App, error)
	AppsAfter(ctx context.Context, space app.SpaceID, after string, limit int) ([]app.App, error)
	AppsByID(ctx context.Context, apps ...app.ID) ([]app.App, error)
	AppOutlines(ctx context.Context, spaces ...app.SpaceID) ([]app.Outline, error)
}

// Images finds what was built; *store.Store does.
type Images interface {
	Image(ctx context.Context, image artifact.ID) (artifact.Image, error)
	Images(ctx context.Context, a app.ID) ([]artifact.Image, error)
}

// Packages finds what is uploaded and what was made of it; *store.Store does.
type Packages interface {
	Package(ctx context.Context, p source.PackageID) (source.Package, error)
	Packages(ctx context.Context, apps ...app.ID) ([]source.Package, error)
	PackageImages(ctx context.Context, apps ...app.ID) (map[artifact.ID]source.PackageID, error)
	ImagesOfPackage(ctx context.Context, p source.PackageID) ([]artifact.Image, error)
}

// Stager makes images, and chooses among them; *deliver.Service does.
type Stager interface {
	AddPackage(ctx context.Context, by operation.Ask, p source.Package, password secret.Secret) (source.Package, error)
	AdoptPackage(ctx context.Context, by operation.Ask, p source.Package) error
	DeletePackage(ctx context.Context, by operation.Ask, p source.Package) error
	Stage(ctx context.Context, by operation.Ask, in deliver.Staging) (operation.Operation, error)
	SetImage(ctx context.Context, by operation.Ask, a app.ID, image artifact.ID) (app.App, error)
	CopyImage(ctx context.Context, by operation.Ask, image artifact.ID, to app.ID) (artifact.Image, error)
	DeleteImage(ctx context.Context, by operation.Ask, image artifact.ID) error
	// EmptyCache and EmptyCaches leave the next builds without what earlier ones kept.
	EmptyCache(ctx context.Context, by operation.Ask, a app.ID) error
	EmptyCaches(ctx context.Context, by operation.Ask) error
}

// Intake takes uploads in and sends them out again; *intake.Service does.
type Intake interface {
	Known(ctx context.Context, spaces []app.SpaceID, files []source.File) ([]source.File, error)
	Begin(p source.Package) (*intake.Upload, error)
	Spoil(ctx context.Context, by operation.Ask, p source.PackageID, why error) error
	Copy(ctx context.Context, by operation.Ask, from, to source.Package) (source.Package, error)
	WriteZip(ctx context.Context, w io.Writer, p source.Package) error
}

// Files reads what is in images; *artifact.Client does.
type Files interface {
	Files(ctx context.Context, ref, base artifact.Ref) (io.ReadCloser, error)
}

// Releases finds releases; *store.Store does.
type Releases interface {
	CurrentReleases(ctx context.Context, apps ...app.ID) (map[app.ID]release.Release, error)
	ProcessesOf(ctx context.Context, releases ...release.ID) (map[release.ID][]app.Process, error)
}

// Running tells what should run and what does; *store.Store does.
type Running interface {
	GroupsOfApps(ctx context.Context, apps ...app.ID) ([]run.Group, error)
	InstancesIn(ctx context.Context, groups ...run.GroupID) ([]run.Instance, error)
}

// Rollouts tells how apps are replaced; *store.Store does.
type Rollouts interface {
	Rollouts(ctx context.Context, a app.ID, limit int) ([]rollout.Rollout, error)
	Rollout(ctx context.Context, id rollout.ID) (rollout.Rollout, error)
	OpenRollouts(ctx context.Context) ([]rollout.Rollout, error) // of all apps, those that have not ended
}

// Routes finds routes; *store.Store does.
type Routes interface {
	Route(ctx context.Context, r route.ID) (route.Route, error)
	RoutesAt(ctx context.Context, host, path string) ([]route.Route, error)
	RoutesAfter(ctx context.Context, space app.SpaceID, after string, limit int) ([]route.Route, error)
	RoutesOf(ctx context.Context, apps ...app.ID) ([]route.Route, error)
}

// Meter tells what an instance uses; every run.Driver does.
type Meter interface {
	Usage(ctx context.Context, i run.InstanceID) (run.Usage, error)
}

// Logs reads what apps say; *logs.Book does.
type Logs interface {
	Read(ctx context.Context, q logs.Query) (logs.Page, error)
	Tail(ctx context.Context, q logs.Query) (logs.Page, error)
}

// Operations finds long work and tells how it goes.
type Operations interface {
	Operation(ctx context.Context, o operation.ID) (operation.Operation, error)
	Operations(ctx context.Context, f operation.Filter) ([]operation.Operation, error)
	Progress(ctx context.Context, o operation.ID, after int64, limit int) ([]operation.Progress, error)
	AwaitProgress(ctx context.Context, o operation.ID, after int64) error
}

// Lifecycle changes what runs.
type Lifecycle interface {
	Start(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
	Stop(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
	Restart(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
	Scale(ctx context.Context, by operation.Ask, a app.ID, processes map[string]int) (operation.Operation, error)
	Delete(ctx context.Context, by operation.Ask, a app.ID) (operation.Operation, error)
}

// Drafts makes apps and edits their drafts.
type Drafts interface {
	CreateApp(ctx context.Context, by operation.Ask, space app.SpaceID, name string) (app.App, error)
	SetEnv(ctx context.Context, by operation.Ask, a app.ID, change app.EnvChange, restart bool) (app.App, *operation.Operation, error)
	SetProcesses(ctx context.Context, by operation.Ask, a app.ID, processes map[string]app.Overrides) (app.App, error)
}

// Mapper changes where apps answer.
type Mapper interface {
	MapRoute(ctx context.Context, by operation.Ask, a app.ID, in client.NewRoute) (route.Route, error)
	// ReserveRoute keeps a host and path for a space, without an app behind it.
	ReserveRoute(ctx context.Context, by operation.Ask, space app.SpaceID, host, path string) (route.Route, error)
	// ReservePort keeps a port of the gateway for a space; 0 is one that is free.
	ReservePort(ctx context.Context, by operation.Ask, space app.SpaceID, port int) (route.Route, error)
	// FreeRoute takes one destination off a route and keeps the route.
	FreeRoute(ctx context.Context, by operation.Ask, r route.ID, destination string) error
	DropRoute(ctx context.Context, by operation.Ask, r route.ID) error
}

// Tasks finds one-off commands; *store.Store does.
type Tasks interface {
	Task(ctx context.Context, t task.ID) (task.Task, error)
	TasksBefore(ctx context.Context, a app.ID, before, limit int) ([]task.Task, error)
}

// TaskRunner runs them.
type TaskRunner interface {
	RunTask(ctx context.Context, by operation.Ask, a app.ID, in client.NewTask) (task.Task, error)
	CancelTask(ctx context.Context, by operation.Ask, t task.ID) (task.Task, error)
}

// Events reads the record of what happened; *store.Store does.
type Events interface {
	EventsBefore(ctx context.Context, space app.SpaceID, a app.ID, kind event.Kind, before int64, limit int) ([]event.Event, error)
}

// Bases finds the images that builds stand on: to clients, stacks; *store.Store
// does.
type Bases interface {
	Foundations(ctx context.Context) ([]artifact.Foundation, error)
}

// Platform tells about the server itself.
type Platform interface {
	Builders(ctx context.Context) ([]client.Builder, error)
}

// Packs keeps the buildpacks that people upload; *packs.Shelf does.
type Packs interface {
	All(ctx context.Context) ([]source.Buildpack, error)
	One(ctx context.Context, id source.BuildpackID) (source.Buildpack, error)
	Create(ctx context.Context, by operation.Ask, c packs.Change) (source.Buildpack, error)
	Change(ctx context.Context, by operation.Ask, id source.BuildpackID, c packs.Change) (source.Buildpack, error)
	Delete(ctx context.Context, by operation.Ask, id source.BuildpackID) error
	// Upload notes what is wrong with files that came whole with the buildpack; an
	// error is of the upload.
	Upload(ctx context.Context, by operation.Ask, id source.BuildpackID, filename string, r io.Reader) (source.Buildpack, error)
}

// patience is how long a request waits until what it asked for is to be seen.
const patience = 20 * time.Second
