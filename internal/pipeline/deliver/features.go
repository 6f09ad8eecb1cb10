package deliver

import (
	"cmp"
	"context"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/release"
	"naru/internal/route"
)

// mayScale refuses another number of instances than an app has, and other processes
// than those of its draft where they take something else, to whom the platform does
// not let scale.
func mayScale(ctx context.Context, a app.App, scale map[string]int, processes map[string]app.Overrides) error {
	refusal := feature.Ask(ctx, feature.AppScaling)
	if refusal == nil {
		return nil
	}
	for process, n := range scale {
		if n != a.Count(process) {
			return refusal
		}
	}
	for process, o := range processes {
		if had := a.Draft.Processes[process]; o.MemoryMiB != had.MemoryMiB || o.DiskMiB != had.DiskMiB || o.CPUMilli != had.CPUMilli {
			return refusal
		}
	}
	return nil
}

// laid are the processes of an app's draft with others laid over them.
func laid(a app.App, over map[string]app.Overrides) map[string]app.Overrides {
	out := map[string]app.Overrides{}
	for process, o := range over {
		out[process] = a.Draft.Processes[process].With(o)
	}
	return out
}

// mayPush refuses what a push takes of features that are switched off. What an app
// has never had is no scaling.
func (s *Service) mayPush(ctx context.Context, a app.App, in client.Push) error {
	if in.Image != "" {
		if err := feature.Ask(ctx, feature.DiegoDocker); err != nil {
			return err
		}
	}
	if a.Image == "" {
		return nil
	}
	scale, processes := map[string]int{}, map[string]app.Overrides{}
	for process, p := range in.Processes {
		processes[process] = merge(a.Draft.Processes[process], p.ProcessSettings)
		if p.Instances != nil {
			scale[process] = *p.Instances
		}
	}
	return mayScale(ctx, a, scale, processes)
}

// mayDeploy refuses what a deployment takes of features that are switched off.
func (s *Service) mayDeploy(ctx context.Context, a app.App, in Deployment) error {
	if in.Release != "" {
		return s.mayGoBack(ctx, in.Release)
	}
	if err := s.mayRunImage(ctx, a.ID, in.Image); err != nil {
		return err
	}
	return mayScale(ctx, a, in.Scale, laid(a, in.Processes))
}

// mayGoBack refuses a release of an image that came from another registry where
// those are not to be run.
func (s *Service) mayGoBack(ctx context.Context, to release.ID) error {
	refusal := feature.Ask(ctx, feature.DiegoDocker)
	if refusal == nil {
		return nil
	}
	rel, err := s.store.Release(ctx, to)
	if err != nil || rel.Snapshot != "" {
		return err
	}
	return refusal
}

// mayRunImage refuses to start an image, or with "" the app's, that came from
// another registry where those are not to be run.
func (s *Service) mayRunImage(ctx context.Context, id app.ID, image artifact.ID) error {
	refusal := feature.Ask(ctx, feature.DiegoDocker)
	if refusal == nil {
		return nil
	}
	if image == "" {
		a, err := s.store.App(ctx, id)
		if err != nil || a.Image == "" {
			return err
		}
		image = artifact.ID(a.Image)
	}
	img, err := s.store.Image(ctx, image)
	if fault.Is(err, fault.NotFound) {
		return nil // whatever needs it says so
	}
	if err != nil || img.Snapshot != "" {
		return err
	}
	return refusal
}

// featured refuses what a declaration takes of features that are switched off: its
// operation asks for nobody any more.
func (s *Service) featured(ctx context.Context, d Declaration, routes []mapping) error {
	if d.Build != nil && d.Build.Docker {
		if err := feature.Ask(ctx, feature.DiegoDocker); err != nil {
			return err
		}
	}
	a, err := s.store.App(ctx, d.App)
	if err != nil {
		return err
	}
	if a.Image != "" {
		if err := mayScale(ctx, a, d.Scale, laid(a, d.Processes)); err != nil {
			return err
		}
	}
	if refusal := feature.Ask(ctx, feature.RouteCreation); refusal != nil && !d.NoRoute {
		if more, err := s.wantsRoute(ctx, a, d, routes); err != nil || more {
			return cmp.Or(err, refusal)
		}
	}
	return nil
}

// wantsRoute reports whether a declaration needs a route that there is not.
func (s *Service) wantsRoute(ctx context.Context, a app.App, d Declaration, routes []mapping) (bool, error) {
	have, err := s.store.RoutesOf(ctx, a.ID)
	if err != nil || len(routes) == 0 {
		return d.Host != "" && len(have) == 0, err
	}
	for _, w := range keptPorts(a.ID, routes, have) {
		there, err := s.hasRoute(ctx, a.Space, w)
		if err != nil || !there {
			return true, err
		}
	}
	return false, nil
}

// hasRoute reports whether a space has the route that is wanted for an app.
func (s *Service) hasRoute(ctx context.Context, space app.SpaceID, w mapping) (bool, error) {
	if w.anyPort() {
		return false, nil
	}
	want, err := route.New(space, s.whole(w.host), w.path, time.Now().UTC())
	switch {
	case w.tcp != nil && w.host == "":
		want, err = route.Route{TCP: w.tcp}, nil
	case w.tcp != nil:
		want, err = route.NewTCP(space, s.whole(w.host), *w.tcp, time.Now().UTC())
	}
	if err != nil {
		return false, err
	}
	host, path := want.Place()
	there, err := s.store.RoutesAt(ctx, host, path)
	return slices.ContainsFunc(there, func(r route.Route) bool { return r.Space == space && r.When.Key() == w.when.Key() }), err
}
