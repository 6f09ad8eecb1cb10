package deliver

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/route"
)

// KindManifest brings what a manifest says into the drafts of its apps.
const KindManifest operation.Kind = "manifest"

// Declaration is what a manifest says of one app that is there. What is zero is
// left as it is.
type Declaration struct {
	App       app.ID                   `json:"app"`
	Name      string                   `json:"name"`
	Build     *app.Build               `json:"build,omitempty"`
	Env       map[string]string        `json:"env,omitempty"`
	Processes map[string]app.Overrides `json:"processes,omitempty"` // laid over those of the draft
	Found     []string                 `json:"found,omitempty"`     // process types whose command is again what the build finds
	Scale     map[string]int           `json:"scale,omitempty"`
	Strategy  *app.Strategy            `json:"strategy,omitempty"`
	Promises  *client.Promises         `json:"promises,omitempty"`
	NoSSH     *bool                    `json:"no_ssh,omitempty"`
	Routes    []client.NewRoute        `json:"routes,omitempty"`
	NoRoute   bool                     `json:"no_route,omitempty"` // it loses all it has
	Host      string                   `json:"host,omitempty"`     // that it gets where it would have no route
	Bindings  []Binding                `json:"bindings,omitempty"`
	Metadata  *label.Change            `json:"metadata,omitempty"`
}

// Binding is a service that an app is to have.
type Binding struct {
	Service string `json:"service"`        // its name in the space
	Name    string `json:"name,omitempty"` // of the binding
}

// Declare is what another part of the platform does about a declaration, in the
// caller's transaction: what it refuses is not half done.
type Declare func(ctx context.Context, actor string, a app.App, d Declaration) error

// OnDeclare has do called for every declaration; before anything is asked of the
// service.
func (s *Service) OnDeclare(do Declare) { s.declares = append(s.declares, do) }

// Declared is the result of a manifest that was applied.
type Declared struct {
	Apps []string `json:"apps"`
}

// Skeleton makes an app that is stopped and has nothing yet. One whose name is free
// and whose host name is not, because an app with another name has it, gets another
// host name.
func (s *Service) Skeleton(ctx context.Context, by operation.Ask, space app.SpaceID, name string, build app.Build) (app.App, error) {
	a, err := newApp(space, name)
	if err != nil {
		return a, err
	}
	if build.Docker {
		if err := feature.Ask(ctx, feature.DiegoDocker); err != nil {
			return app.App{}, err
		}
	}
	a.State, a.Build = app.Stopped, build
	slug := a.Slug
	for n := 0; ; n++ {
		out, err := s.store.CreateApp(ctx, a, event.Event{Kind: "app.created", Actor: by.Actor, Subject: a.Name})
		if _, taken := s.store.AppNamed(ctx, space, name); !fault.Is(err, fault.Conflict) || taken == nil || n == 3 {
			return out, err
		}
		end := id.New()
		a.Slug = slug[:min(len(slug), app.MaxSlug-7)] + "-" + end[len(end)-6:]
	}
}

// Rename gives an app another name. Its host name, its images and its groups keep
// theirs.
func (s *Service) Rename(ctx context.Context, by operation.Ask, id app.ID, name string) (app.App, error) {
	if err := app.CheckName("name", name); err != nil {
		return app.App{}, err
	}
	before, err := s.store.App(ctx, id)
	if err != nil || before.Name == name {
		return before, err
	}
	return s.store.UpdateApp(ctx, id, func(a *app.App) error { a.Name = name; return nil },
		event.Event{Kind: "app.renamed", Actor: by.Actor, Subject: name, Detail: map[string]any{"before": before.Name}})
}

// SetBuild says how an app's next image is made.
func (s *Service) SetBuild(ctx context.Context, by operation.Ask, id app.ID, build app.Build) (app.App, error) {
	return s.store.UpdateApp(ctx, id, func(a *app.App) error { a.Build = a.Build.Wishing(build); return nil },
		event.Event{Kind: "app.configured", Actor: by.Actor, Detail: map[string]any{"build": true}})
}

// ApplyManifest starts the operation that brings declarations into the drafts of
// their apps, one after the other, each as a whole or not at all; it ends with the
// first that fails. What can be refused is refused here.
func (s *Service) ApplyManifest(ctx context.Context, by operation.Ask, space app.SpaceID, all []Declaration) (operation.Operation, error) {
	for _, d := range all {
		if err := s.checkDeclaration(ctx, space, d); err != nil {
			return operation.Operation{}, ofApp(d, err)
		}
	}
	op, err := s.queueOn(ctx, by, KindManifest, "manifest/"+id.New(), app.App{Space: space}, all)
	if err == nil {
		s.wake()
	}
	return op, err
}

// ofApp names the app that an error is about.
func ofApp(d Declaration, err error) error {
	f := *fault.Of(err)
	if f.Kind == fault.Internal {
		return err
	}
	f.Message = fmt.Sprintf("For application '%s': %s", d.Name, withField(f))
	f.Field = ""
	return &f
}

func withField(f fault.Error) string {
	if f.Field == "" {
		return f.Message
	}
	return f.Field + ": " + f.Message
}

func (s *Service) checkDeclaration(ctx context.Context, space app.SpaceID, d Declaration) error {
	if err := (app.EnvChange{Set: d.Env}).Check(); err != nil {
		return err
	}
	for _, process := range slices.Sorted(maps.Keys(d.Processes)) {
		o, field := d.Processes[process], "processes."+process
		if err := s.checkMemory(field+".memory_mib", o.MemoryMiB); err != nil {
			return err
		}
		if err := o.Metrics.Check(field + ".metrics"); err != nil {
			return err
		}
	}
	for _, process := range slices.Sorted(maps.Keys(d.Scale)) {
		if err := s.checkCount("processes."+process+".instances", d.Scale[process]); err != nil {
			return err
		}
	}
	if d.Strategy != nil {
		if err := d.Strategy.Check("strategy"); err != nil {
			return err
		}
	}
	if err := s.checkPromises(ctx, d.App, d.Promises); err != nil {
		return err
	}
	mappings, err := mappingsOf(d.Routes)
	if err != nil {
		return err
	}
	for i, m := range mappings {
		if err := s.allow(ctx, space, m); err != nil {
			return ofRoute(i, err)
		}
	}
	return s.featured(ctx, d, mappings)
}

// manifest is the story of a manifest.
func (s *Service) manifest(ctx context.Context, w *operation.Work) (any, error) {
	var all []Declaration
	if err := w.Bind(&all); err != nil {
		return nil, err
	}
	out, kept := Declared{}, 0 // so many apps have the routes that they had
	for n, d := range all {
		_, err := operation.Step(ctx, w, fmt.Sprintf("app %d", n+1), func(ctx context.Context) (bool, operation.Outcome, error) {
			moved, err := s.apply(ctx, w, d)
			if !moved {
				kept++
			}
			return true, operation.Outcome{Text: d.Name}, err
		})
		if err != nil {
			return nil, err
		}
		out.Apps = append(out.Apps, d.Name)
	}
	if kept == len(all) {
		return out, nil // nothing that the gateways have to hear of first
	}
	return out, s.router.Sync(ctx)
}

// apply brings one declaration into its app: all of it, or nothing. It reports
// whether the app's routes are others than before.
func (s *Service) apply(ctx context.Context, w *operation.Work, d Declaration) (moved bool, err error) {
	mappings, err := mappingsOf(d.Routes)
	if err != nil {
		return false, ofApp(d, err)
	}
	err = s.whenThereIsRoom(ctx, w, "scale", func(ctx context.Context) error {
		if len(d.Env) > 0 {
			if err := s.secrets.SetSecrets(ctx, d.App, app.EnvChange{Set: d.Env}); err != nil {
				return err
			}
		}
		a, err := s.store.UpdateApp(ctx, d.App, func(a *app.App) error { d.lay(a); return nil },
			event.Event{Kind: "app.manifest", Actor: w.Actor, Detail: d.detail()})
		if err != nil {
			return err
		}
		if len(d.Scale) > 0 {
			if err := s.room.Resize(ctx, a); err != nil {
				return err
			}
			if err := s.fit(ctx, a); err != nil {
				return err
			}
		}
		if moved, err = s.declareRoutes(ctx, w, a, d, mappings); err != nil {
			return err
		}
		for _, do := range s.declares {
			if err := do(ctx, w.Actor, a, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return moved, ofApp(d, err)
	}
	return moved, s.keepPromises(ctx, w, d.App, d.Promises)
}

// lay brings what a declaration says into an app's draft.
func (d Declaration) lay(a *app.App) {
	if d.Build != nil {
		a.Build = a.Build.Wishing(*d.Build)
	}
	if d.NoSSH != nil {
		a.NoSSH = *d.NoSSH
	}
	if d.Strategy != nil {
		a.Strategy = *d.Strategy
	}
	if len(d.Env) > 0 {
		a.Draft = a.Draft.WithEnv(d.Env)
	}
	for process, o := range d.Processes {
		a.Draft = a.Draft.WithProcess(process, a.Draft.Processes[process].With(o))
	}
	for _, process := range d.Found {
		if o, said := a.Draft.Processes[process]; said {
			o.Command = ""
			a.Draft = a.Draft.WithProcess(process, o)
		}
	}
	if len(d.Scale) > 0 {
		a.Scale = scaled(*a, d.Scale)
	}
}

// detail is what the record says of a declaration: no values of variables.
func (d Declaration) detail() map[string]any {
	out := map[string]any{}
	if len(d.Env) > 0 {
		out["env"] = slices.Sorted(maps.Keys(d.Env))
	}
	for process, n := range d.Scale {
		out[process] = n
	}
	return out
}

// declareRoutes maps what a declaration names, in the caller's transaction, and
// reports whether that changed anything.
func (s *Service) declareRoutes(ctx context.Context, w *operation.Work, a app.App, d Declaration, mappings []mapping) (moved bool, err error) {
	have, err := s.store.RoutesOf(ctx, a.ID)
	if err != nil {
		return false, err
	}
	if d.NoRoute {
		for _, r := range have {
			if err := s.loose(ctx, w.Actor, a, r); err != nil {
				return false, err
			}
		}
		return len(have) > 0, nil
	}
	if err := s.mapPushed(ctx, operation.Ask{Actor: w.Actor}, a, mappings, true); err != nil {
		return false, err
	}
	if d.Host != "" && len(have)+len(mappings) == 0 {
		_, err = s.mapRoute(ctx, w.Actor, a, mapping{host: d.Host, path: "/", to: route.Destination{Process: app.Web}})
		return true, err
	}
	if len(mappings) == 0 {
		return false, nil
	}
	now, err := s.store.RoutesOf(ctx, a.ID)
	return !reflect.DeepEqual(untimed(have), untimed(now)), err
}

// untimed are routes without when they were last written.
func untimed(routes []route.Route) []route.Route {
	out := slices.Clone(routes)
	for i := range out {
		out[i].Updated = time.Time{}
	}
	return out
}

// loose takes an app off a route, which its space keeps.
func (s *Service) loose(ctx context.Context, actor string, a app.App, r route.Route) error {
	left, _ := r.Without(a.ID)
	_, err := s.store.SetRoute(ctx, left, event.Event{
		Kind: "route.unmapped", Actor: actor, App: string(a.ID), Subject: r.Name(), Detail: map[string]any{"app": a.Name},
	})
	return err
}
