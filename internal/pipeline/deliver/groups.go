package deliver

import (
	"context"
	"fmt"
	"slices"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/feature"
	"naru/internal/pipeline/operation"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// KindGroup is a change of one server group.
const KindGroup operation.Kind = "group"

// groupRequest is what a change of a group asks for.
type groupRequest struct {
	Action  string // create, clone, enable, disable, resize, destroy
	Group   run.GroupID
	Release release.ID // of create
	Process string     // of create
	Size    int        // of create, clone and resize
	Force   bool
}

// ChangeGroup changes one server group of an app, or makes one. What would take
// the last instances that carry traffic away is refused here, and once more when
// its turn comes.
func (s *Service) ChangeGroup(ctx context.Context, by operation.Ask, id app.ID, in client.GroupChange) (operation.Operation, error) {
	a, err := s.store.App(ctx, id)
	if err != nil {
		return operation.Operation{}, err
	}
	req := groupRequest{Action: in.Action, Process: in.Process, Force: in.Force}
	if in.Action == "create" {
		if err := s.newGroup(ctx, a, in, &req); err != nil {
			return operation.Operation{}, err
		}
	} else {
		g, err := s.groupNamed(ctx, a, in.Group)
		if err != nil {
			return operation.Operation{}, err
		}
		req.Group, req.Size = g.ID, g.Size
	}
	had := req.Size
	if in.Size != nil {
		req.Size = *in.Size
	}
	if in.Action == "create" || in.Action == "clone" || req.Size != had {
		if err := feature.Ask(ctx, feature.AppScaling); err != nil {
			return operation.Operation{}, err
		}
	}
	if err := s.checkCount("size", req.Size); err != nil {
		return operation.Operation{}, err
	}
	if err := s.checkGroup(ctx, a, req); err != nil {
		return operation.Operation{}, err
	}
	return s.submit(ctx, by, KindGroup, a, req, nil)
}

// newGroup fills in what a new group is of.
func (s *Service) newGroup(ctx context.Context, a app.App, in client.GroupChange, req *groupRequest) error {
	rel, err := s.store.CurrentRelease(ctx, a.ID)
	if in.Release != "" {
		var number int
		if number, err = release.ParseNumber(in.Release); err == nil {
			rel, err = s.store.ReleaseNumbered(ctx, a.ID, number)
		}
	}
	if err != nil {
		return err
	}
	if req.Process == "" {
		req.Process = app.Web
	}
	if _, ok := rel.Process(req.Process); !ok || req.Process == app.ReleaseType {
		return fault.New(fault.NotFound, "process", "%s of %s has no process %q with instances", rel.Name(), a.Name, req.Process).WithTry("naru app %s", a.Name)
	}
	req.Release, req.Size = rel.ID, max(1, a.Count(req.Process))
	return nil
}

// groupNamed finds a group by name or id.
func (s *Service) groupNamed(ctx context.Context, a app.App, name string) (run.Group, error) {
	groups, err := s.store.Groups(ctx, a.ID)
	if err != nil {
		return run.Group{}, err
	}
	for _, g := range groups {
		switch {
		case g.Name != name && string(g.ID) != name:
		case g.Retired:
			return g, fault.New(fault.Conflict, "group", "%s is out of traffic for good: it goes by itself when the last streams of its instances have ended", g.Name).
				WithTry("naru app %s", a.Name)
		default:
			return g, nil
		}
	}
	return run.Group{}, fault.New(fault.NotFound, "group", "%s has no server group %q", a.Name, name).WithTry("naru groups %s", a.Name)
}

// checkGroup refuses a change that must not be made as things are.
func (s *Service) checkGroup(ctx context.Context, a app.App, req groupRequest) error {
	newest, err := s.store.Rollouts(ctx, a.ID, 1)
	if err != nil {
		return err
	}
	if len(newest) > 0 && !newest[0].State.Ended() && req.Action != "create" && req.Action != "clone" &&
		(slices.Contains(newest[0].New, req.Group) || slices.Contains(newest[0].Old, req.Group) || slices.Contains(newest[0].Beside, req.Group)) {
		return fault.New(fault.Conflict, "group", "the group belongs to a rollout that is %s", newest[0].State).
			WithTry("naru rollout promote %s, or naru rollout abort %s, then this again", a.Name, a.Name)
	}
	if req.Force {
		return nil
	}
	in, err := s.store.RoutingInput(ctx)
	if err != nil {
		return err
	}
	var groups []route.GroupState
	for _, g := range in.Groups {
		if g.App == a.ID {
			groups = append(groups, g)
		}
	}
	if left, guarded := trafficLeft(groups, req); guarded && left == 0 {
		return fault.New(fault.Conflict, "group", "%s would have no healthy instance that takes traffic left", a.Name).
			WithTry("enable another group first (naru groups %s), or say it twice: --force", a.Name)
	}
	return nil
}

// trafficLeft counts the healthy instances that take traffic after a change, of
// the process type that it is about; guarded tells whether the group carries some
// now and the change takes it away.
func trafficLeft(groups []route.GroupState, req groupRequest) (left int, guarded bool) {
	i := slices.IndexFunc(groups, func(g route.GroupState) bool { return g.ID == string(req.Group) })
	if i < 0 || req.Action != "disable" && req.Action != "destroy" && !(req.Action == "resize" && req.Size == 0) {
		return 0, false
	}
	carries := func(g route.GroupState) (n int) {
		if g.Weight == 0 || g.Process != groups[i].Process {
			return 0
		}
		for _, in := range g.Instances {
			if in.Healthy {
				n++
			}
		}
		return n
	}
	guarded = carries(groups[i]) > 0
	after := slices.Clone(groups)
	after[i].Given = new(route.Weight)
	after[i].Instances = nil
	route.Share(after)
	for _, g := range after {
		left += carries(g)
	}
	return left, guarded
}

// group is the story of a change of one group.
func (s *Service) group(ctx context.Context, w *operation.Work) (any, error) {
	var req groupRequest
	if err := w.Bind(&req); err != nil {
		return nil, err
	}
	a, err := s.store.App(ctx, w.App)
	if err != nil {
		return nil, err
	}
	name, err := operation.Step(ctx, w, "group", func(ctx context.Context) (string, operation.Outcome, error) {
		var name string
		err := s.whenThereIsRoom(ctx, w, "group", func(ctx context.Context) (err error) {
			if err := s.checkGroup(ctx, a, req); err != nil {
				return err
			}
			name, err = s.changeGroup(ctx, w, a, req)
			return err
		})
		return name, operation.Outcome{Text: fmt.Sprintf("%s: %s", name, req.Action)}, err
	})
	if err != nil {
		return nil, err
	}
	if err := s.router.Sync(ctx); err != nil {
		return nil, err
	}
	if req.Action == "enable" || req.Action == "disable" {
		return map[string]string{"group": name}, nil
	}
	_, err = operation.Step(ctx, w, "run", func(ctx context.Context) (bool, operation.Outcome, error) {
		out, err := s.settle(ctx, w)
		return true, out, err
	})
	if err == nil && req.Action == "destroy" {
		err = s.store.DeleteGroup(ctx, req.Group, event.Event{Kind: "group.destroyed", Actor: w.Actor, Subject: name})
	}
	return map[string]string{"group": name}, err
}

// changeGroup stores the change and returns the group's name.
func (s *Service) changeGroup(ctx context.Context, w *operation.Work, a app.App, req groupRequest) (string, error) {
	said := func(kind event.Kind, name string) event.Event {
		return event.Event{Kind: kind, Actor: w.Actor, Subject: name, Detail: map[string]any{"app": a.Name}}
	}
	var g run.Group
	if req.Action != "create" {
		var err error
		if g, err = s.store.Group(ctx, req.Group); err != nil {
			return "", err
		}
	}
	var err error
	switch req.Action {
	case "create", "clone":
		next := run.Group{ID: run.GroupID(w.ID), App: a.ID, Process: req.Process, Release: req.Release, Size: req.Size, Weight: new(int)}
		if req.Action == "clone" {
			next.Process, next.Release = g.Process, g.Release
		}
		if err = s.roomFor(ctx, a, next, req.Size); err != nil {
			break
		}
		if g, err = s.store.CreateGroup(ctx, next); err == nil {
			err = s.store.AppendEvents(ctx, said("group.created", g.Name))
		}
	case "enable":
		g, err = s.store.WeighGroup(ctx, g.ID, nil, said("group.enabled", g.Name))
	case "disable":
		g, err = s.store.WeighGroup(ctx, g.ID, new(int), said("group.disabled", g.Name))
	case "resize":
		if err = s.roomFor(ctx, a, g, req.Size-g.Size); err != nil {
			break
		}
		g, err = s.store.ResizeGroup(ctx, g.ID, req.Size, said("group.resized", g.Name))
	case "destroy":
		if g, err = s.store.WeighGroup(ctx, g.ID, new(int), said("group.disabled", g.Name)); err == nil {
			g, err = s.store.ResizeGroup(ctx, g.ID, 0)
		}
	default:
		err = fault.New(fault.Invalid, "action", "%q is nothing that can be done with a group", req.Action).
			WithTry("create, clone, enable, disable, resize or destroy")
	}
	return g.Name, err
}

// roomFor refuses instances of a group beside what the app has that do not fit
// the machine.
func (s *Service) roomFor(ctx context.Context, a app.App, g run.Group, more int) error {
	if more <= 0 {
		return nil
	}
	rel, err := s.store.Release(ctx, g.Release)
	if err != nil {
		return err
	}
	got, err := s.room.Rollout(ctx, a, served(rel.Processes), more)
	if err == nil && got < more {
		err = fault.New(fault.Conflict, "size", "there is memory for %d more instances of %s, not for %d", got, a.Name, more).
			WithTry("ask for fewer, or scale something down")
	}
	return err
}
