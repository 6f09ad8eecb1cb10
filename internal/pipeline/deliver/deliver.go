// Package deliver takes an app from source to a running release and through the
// rest of its life: every wish is an operation, every operation a short story
// told in steps.
package deliver

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/build"
	"naru/internal/config"
	"naru/internal/disk"
	"naru/internal/event"
	"naru/internal/id"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/admit"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/quota"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/run/spool"
	"naru/internal/secret"
	"naru/internal/source"
)

// The kinds of operations that are carried out here.
const (
	KindPush     operation.Kind = "push"
	KindStart    operation.Kind = "start"
	KindStop     operation.Kind = "stop"
	KindRestart  operation.Kind = "restart"
	KindScale    operation.Kind = "scale"
	KindRollback operation.Kind = "rollback"
	KindSetEnv   operation.Kind = "set-env"
	KindDelete   operation.Kind = "delete"
)

// Store is what delivering reads and writes. Each call is one transaction;
// Together makes one of several.
type Store interface {
	admit.Store
	quota.Store
	Together(ctx context.Context, do func(ctx context.Context) error) error
	AppendEvents(ctx context.Context, evs ...event.Event) error

	Space(ctx context.Context, id app.SpaceID) (app.Space, error)
	SpaceName(ctx context.Context, id app.SpaceID) (string, error)
	App(ctx context.Context, id app.ID) (app.App, error)
	AppNamed(ctx context.Context, space app.SpaceID, name string) (app.App, error)
	CreateApp(ctx context.Context, a app.App, evs ...event.Event) (app.App, error)
	UpdateApp(ctx context.Context, id app.ID, change func(*app.App) error, evs ...event.Event) (app.App, error)
	DeleteApp(ctx context.Context, id app.ID, evs ...event.Event) error
	Setting(ctx context.Context, name string) (string, error)
	SetSetting(ctx context.Context, name, value string, evs ...event.Event) error

	AddSnapshot(ctx context.Context, s source.Snapshot, evs ...event.Event) (source.Snapshot, error)
	Snapshot(ctx context.Context, id string) (source.Snapshot, error)
	SnapshotByDigest(ctx context.Context, space app.SpaceID, digest string) (source.Snapshot, error)
	AddImage(ctx context.Context, img artifact.Image, evs ...event.Event) (artifact.Image, error)
	Image(ctx context.Context, id artifact.ID) (artifact.Image, error)
	ImageOf(ctx context.Context, a app.ID, ref artifact.Ref) (artifact.Image, error)

	Buildpacks(ctx context.Context) ([]source.Buildpack, error)
	AddPackage(ctx context.Context, p source.Package, evs ...event.Event) (source.Package, error)
	Package(ctx context.Context, id source.PackageID) (source.Package, error)
	DeletePackage(ctx context.Context, id source.PackageID, evs ...event.Event) error
	LinkImage(ctx context.Context, p source.PackageID, img artifact.ID) error
	DeleteImage(ctx context.Context, image artifact.ID, evs ...event.Event) error

	CutRelease(ctx context.Context, a app.ID, cut func(number int, now time.Time) (release.Release, error), evs ...event.Event) (release.Release, error)
	Release(ctx context.Context, id release.ID) (release.Release, error)
	CurrentRelease(ctx context.Context, a app.ID) (release.Release, error)
	// Releases lists an app's releases, newest first.
	Releases(ctx context.Context, a app.ID, limit int) ([]release.Release, error)

	StartRollout(ctx context.Context, r rollout.Rollout, evs ...event.Event) (rollout.Rollout, error)
	Rollout(ctx context.Context, id rollout.ID) (rollout.Rollout, error)
	Rollouts(ctx context.Context, a app.ID, limit int) ([]rollout.Rollout, error)
	SteerRollout(ctx context.Context, id rollout.ID, action rollout.Action, actor string) (rollout.Rollout, error)
	SupersedeRollout(ctx context.Context, a app.ID, actor string) error
	ReleaseNumbered(ctx context.Context, a app.ID, number int) (release.Release, error)
	Group(ctx context.Context, id run.GroupID) (run.Group, error)
	Groups(ctx context.Context, a app.ID) ([]run.Group, error)
	CreateGroup(ctx context.Context, g run.Group, evs ...event.Event) (run.Group, error)
	WeighGroup(ctx context.Context, id run.GroupID, weight *int, evs ...event.Event) (run.Group, error)
	DeleteGroup(ctx context.Context, id run.GroupID, evs ...event.Event) error
	RoutingInput(ctx context.Context) (route.Input, error)
	Instances(ctx context.Context, a app.ID) ([]run.Instance, error)
	UpdateInstance(ctx context.Context, id run.InstanceID, change func(run.Instance, time.Time) (run.Instance, error)) (run.Instance, error)
	ResizeGroup(ctx context.Context, id run.GroupID, size int, evs ...event.Event) (run.Group, error)

	RoutesAt(ctx context.Context, host, path string) ([]route.Route, error)
	Route(ctx context.Context, id route.ID) (route.Route, error)
	RoutesOf(ctx context.Context, apps ...app.ID) ([]route.Route, error)
	SetRoute(ctx context.Context, r route.Route, evs ...event.Event) (route.Route, error)
	DeleteRoute(ctx context.Context, id route.ID, evs ...event.Event) error

	Operation(ctx context.Context, id operation.ID) (operation.Operation, error)
	Operations(ctx context.Context, f operation.Filter) ([]operation.Operation, error)
	AddOperation(ctx context.Context, op operation.Operation, evs ...event.Event) (operation.Operation, error)
	WatchApp(id app.ID) (changed <-chan struct{}, stop func())
}

// Sources freezes source and hands it out.
type Sources interface {
	Fetch(ctx context.Context, s source.Snapshot) (fs.FS, error)
	Checkout(ctx context.Context, s source.Snapshot, dir string) error
}

// Cloner freezes a commit of a repository; the credentials are the space's.
type Cloner interface {
	Clone(ctx context.Context, space app.SpaceID, url, ref, dir string, say func(line string)) (source.Snapshot, error)
}

// Images brings images of other registries into naru's.
type Images interface {
	// Import copies an image; zero credentials are the space's.
	Import(ctx context.Context, space app.SpaceID, reference, repository string, login artifact.Credentials) (artifact.Image, error)
}

// Builds makes images; it adds what the platform knows (registry, mirrors,
// limits, foundations) to a request that names the source.
type Builds interface {
	Build(ctx context.Context, req build.Request) (build.Result, error)
}

// Secrets keeps values sealed.
type Secrets interface {
	// SetSecrets seals and stores values of an app, in the caller's transaction.
	SetSecrets(ctx context.Context, a app.ID, values app.EnvChange) error
	// Secrets opens values of an app by name.
	Secrets(ctx context.Context, a app.ID, names []string) (map[string]secret.Secret, error)
}

// Router brings the gateways' table up to date with the store.
type Router interface {
	Sync(ctx context.Context) error
}

// Domains says which space may have a host.
type Domains interface {
	// Allow is nil for a host that the space may have; for another one the error
	// says what is missing.
	Allow(ctx context.Context, space app.SpaceID, host string) error
}

// Logs keeps what builds said, and forgets what an app said.
type Logs interface {
	Append(ctx context.Context, lines []logs.Line, offsets map[string]spool.Offset) error
	Forget(ctx context.Context, a app.ID) error
}

// Config is what delivering must know of the platform.
type Config struct {
	AppsDomain     string                         // apps answer at SLUG.DOMAIN
	PlatformDomain string                         // whose names no app can have
	URL            func(host, path string) string // where people reach a route
	StreamURL      func(route.Route) string       // and a TCP route
	TCPPorts       config.TCPRange                // that TCP routes may have
	Secure         bool                           // the gateway speaks TLS
	WorkDir        string                         // for checked-out sources
	MaxInstances   int                            // of one process type
	MaxMemoryMiB   int                            // of one instance; 0: no bound
	KeepReleases   int
	Strategy       app.Strategy // how apps are replaced where neither a push nor the app says
	Watch          app.Duration // how long old instances that are kept stay ready where nobody says; 0: app.DefaultWatch
	Steps          []app.Step   // of canary where nobody says; empty: app's own
	Memory         admit.Limits // what may be promised to all instances and tasks
	LogRate        int          // bytes per second that an instance may write to its log; 0: any number
	Disk           disk.Reserve // what may not be taken from the disk
	Defaults       app.Process  // what a process gets where neither its image nor its app says; zero fields: app's own
}

// Service carries out what people ask of apps.
type Service struct {
	store    Store
	sources  Sources
	git      Cloner
	images   Images
	builds   Builds
	secrets  Secrets
	router   Router
	domains  Domains
	logs     Logs
	rollouts *rollout.Runner
	gate     Gate // nil: everything may be changed
	promises Promises
	declares []Declare
	room     *admit.Desk
	quotas   *quota.Desk
	promoted chan struct{} // one token: a rollout is to be watched
	wake     func()        // tells the operation runner that there is work
	cfg      Config
	log      *slog.Logger
}

// Parts are what a Service works with.
type Parts struct {
	Store    Store
	Sources  Sources
	Git      Cloner
	Images   Images
	Builds   Builds
	Secrets  Secrets
	Router   Router
	Domains  Domains
	Logs     Logs
	Rollouts *rollout.Runner
	Gate     Gate     // may be nil
	Promises Promises // nil: none are kept
	Wake     func()
}

// New makes a service.
func New(p Parts, cfg Config, log *slog.Logger) *Service {
	return &Service{
		store: p.Store, sources: p.Sources, git: p.Git, images: p.Images, builds: p.Builds, secrets: p.Secrets,
		router: p.Router, domains: p.Domains, logs: p.Logs, rollouts: p.Rollouts, gate: p.Gate, promises: p.Promises, wake: p.Wake, cfg: cfg, log: log,
		promoted: make(chan struct{}, 1),
		room:     admit.NewDesk(p.Store, cfg.Memory, cfg.Disk, cfg.LogRate),
		quotas:   quota.NewDesk(p.Store),
	}
}

// Handlers are the operations that the service carries out.
func (s *Service) Handlers() map[operation.Kind]operation.Handler {
	return map[operation.Kind]operation.Handler{
		KindPush:     s.push,
		KindStart:    s.start,
		KindStop:     s.stop,
		KindRestart:  s.restart,
		KindScale:    s.scale,
		KindRollback: s.rollback,
		KindSetEnv:   s.changed,
		KindDelete:   s.delete,
		KindGroup:    s.group,
		KindDeploy:   s.deploy,
		KindManifest: s.manifest,
		KindStage:    s.stage,
	}
}

// submit stores an operation on an app; the work begins when nothing else works
// on the app. more runs in the same transaction before it and may be nil.
func (s *Service) submit(ctx context.Context, by operation.Ask, kind operation.Kind, a app.App, request any, more func(ctx context.Context) error) (operation.Operation, error) {
	return s.submitOn(ctx, by, kind, string(a.ID), a, request, more)
}

// submitOn is submit for work that waits only for other work on its subject.
func (s *Service) submitOn(ctx context.Context, by operation.Ask, kind operation.Kind, subject string, a app.App, request any, more func(ctx context.Context) error) (operation.Operation, error) {
	var op operation.Operation
	err := s.store.Together(ctx, func(ctx context.Context) (err error) {
		if more != nil {
			if err := more(ctx); err != nil {
				return err
			}
		}
		op, err = s.queueOn(ctx, by, kind, subject, a, request)
		return err
	})
	if err == nil {
		s.wake()
	}
	return op, err
}

// queue stores an operation on an app in the caller's transaction; who commits
// wakes the runner.
func (s *Service) queue(ctx context.Context, by operation.Ask, kind operation.Kind, a app.App, request any) (operation.Operation, error) {
	return s.queueOn(ctx, by, kind, string(a.ID), a, request)
}

func (s *Service) queueOn(ctx context.Context, by operation.Ask, kind operation.Kind, subject string, a app.App, request any) (operation.Operation, error) {
	encoded, err := json.Marshal(request)
	if err != nil {
		return operation.Operation{}, err
	}
	return s.store.AddOperation(ctx, operation.Operation{
		ID: operation.ID(id.New()), Kind: kind, Space: a.Space, App: a.ID, Subject: subject,
		Actor: by.Actor, Key: by.Key, Request: encoded, State: operation.Queued,
	})
}
