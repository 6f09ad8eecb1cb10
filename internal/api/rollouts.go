package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

func (s *server) listGroups(ctx context.Context, _ *nothing) (out client.List[client.ServerGroup], err error) {
	a := at(ctx).app
	newest, err := s.Rollouts.Rollouts(ctx, a.ID, 1)
	if err != nil {
		return out, err
	}
	out.Items, err = s.serverGroups(ctx, a, newest...)
	return out, err
}

// serverGroups lists an app's groups, youngest first.
func (s *server) serverGroups(ctx context.Context, a app.App, newest ...rollout.Rollout) ([]client.ServerGroup, error) {
	groups, err := s.Running.GroupsOfApps(ctx, a.ID)
	if err != nil || len(groups) == 0 {
		return []client.ServerGroup{}, err
	}
	instances, err := s.Running.InstancesIn(ctx, each(groups, func(g run.Group) run.GroupID { return g.ID })...)
	if err != nil {
		return nil, err
	}
	numbers := map[release.ID]int{}
	shares, traffic, breakers := sharesOf(groups, instances), s.traffic(groups), s.Metrics.Breakers()
	out := make([]client.ServerGroup, 0, len(groups))
	for _, g := range groups {
		if numbers[g.Release] == 0 {
			rel, err := s.Releases.Release(ctx, g.Release)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return nil, err
			}
			numbers[g.Release] = rel.Number
		}
		wire := client.ServerGroup{
			ID: string(g.ID), Name: g.Name, Process: g.Process, Release: numbers[g.Release], Weight: shares[g.ID], Disabled: g.Disabled(),
			Want: g.Size, CreatedAt: g.Created, Retired: g.Retired, Traffic: traffic[g.ID],
			Breaker: string(breakers[string(g.ID)]),
		}
		wire.Healthy, wire.Health = groupHealth(g, instances)
		for _, i := range instances {
			if i.Group == g.ID && i.State == run.Lingering {
				wire.Lingering++
			}
		}
		for _, ro := range newest {
			switch {
			case ro.State.Ended():
			case slices.Contains(ro.New, g.ID):
				wire.Rollout, wire.Disabled = "new", false
			case slices.Contains(ro.Old, g.ID):
				wire.Rollout = "old"
			case slices.Contains(ro.Beside, g.ID):
				wire.Rollout, wire.Disabled = "baseline", false
			}
		}
		out = append(out, wire)
	}
	slices.SortStableFunc(out, func(x, y client.ServerGroup) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return out, nil
}

// sharesOf are the weights that the gateways' table has for an app's groups.
func sharesOf(groups []run.Group, instances []run.Instance) map[run.GroupID]int {
	states := make([]route.GroupState, len(groups))
	for i, g := range groups {
		states[i] = route.GroupState{ID: string(g.ID), App: g.App, Process: g.Process}
		if g.Weight != nil {
			given := route.Weight(*g.Weight)
			states[i].Given = &given
		}
		for _, in := range instances {
			if in.Group == g.ID {
				states[i].Instances = append(states[i].Instances, route.InstanceState{Healthy: in.State == run.Healthy})
			}
		}
	}
	route.Share(states)
	out := map[run.GroupID]int{}
	for i, g := range groups {
		out[g.ID] = int(states[i].Weight)
	}
	return out
}

func groupHealth(g run.Group, instances []run.Instance) (healthy int, text string) {
	crashed := false
	for _, i := range instances {
		if i.Group != g.ID {
			continue
		}
		if i.State == run.Healthy {
			healthy++
		}
		crashed = crashed || i.State == run.Crashed || i.Crashes > 0 && i.State != run.Healthy
	}
	switch {
	case g.Size == 0:
		text = "empty"
	case healthy >= g.Size:
		text = "healthy"
	case healthy > 0:
		text = "degraded"
	case crashed:
		text = "crashed"
	default:
		text = "starting"
	}
	return healthy, text
}

type newGroupInput struct{ Body client.NewGroup }

func (s *server) createGroup(ctx context.Context, in *newGroupInput) (operation.Operation, error) {
	return s.changeGroup(ctx, client.GroupChange{Action: "create", Release: in.Body.Release, Process: in.Body.Process, Size: in.Body.Size})
}

// GroupPath names a server group in a path.
type GroupPath struct {
	Group string `path:"group" maxLength:"100" doc:"name or id of a server group"`
}

type groupForceInput struct {
	GroupPath
	Body client.GroupForce
}

type groupSizeInput struct {
	GroupPath
	Body client.GroupSize
}

func (s *server) enableGroup(ctx context.Context, in *GroupPath) (operation.Operation, error) {
	return s.changeGroup(ctx, client.GroupChange{Action: "enable", Group: in.Group})
}

func (s *server) disableGroup(ctx context.Context, in *groupForceInput) (operation.Operation, error) {
	return s.changeGroup(ctx, client.GroupChange{Action: "disable", Group: in.Group, Force: in.Body.Force})
}

func (s *server) destroyGroup(ctx context.Context, in *groupForceInput) (operation.Operation, error) {
	return s.changeGroup(ctx, client.GroupChange{Action: "destroy", Group: in.Group, Force: in.Body.Force})
}

func (s *server) resizeGroup(ctx context.Context, in *groupSizeInput) (operation.Operation, error) {
	if in.Body.Size == nil {
		return operation.Operation{}, fault.New(fault.Invalid, "size", "a number of instances is needed").WithTry("naru group resize APP GROUP N")
	}
	return s.changeGroup(ctx, client.GroupChange{Action: "resize", Group: in.Group, Size: in.Body.Size, Force: in.Body.Force})
}

func (s *server) cloneGroup(ctx context.Context, in *groupSizeInput) (operation.Operation, error) {
	return s.changeGroup(ctx, client.GroupChange{Action: "clone", Group: in.Group, Size: in.Body.Size})
}

func (s *server) changeGroup(ctx context.Context, in client.GroupChange) (operation.Operation, error) {
	return s.Lifecycle.ChangeGroup(ctx, requestOf(ctx).by(), at(ctx).app.ID, in)
}

func (s *server) listRollouts(ctx context.Context, in *PageInput) (out client.List[client.Rollout], err error) {
	size, err := s.size(*in)
	if err != nil {
		return out, err
	}
	all, err := s.Rollouts.Rollouts(ctx, at(ctx).app.ID, 0)
	if err != nil {
		return out, err
	}
	if in.After != "" {
		i := slices.IndexFunc(all, func(r rollout.Rollout) bool { return string(r.ID) == in.After })
		if i < 0 {
			return out, fault.New(fault.Invalid, "after", "%q is not what next was", in.After)
		}
		all = all[i+1:]
	}
	numbers := s.releaseNumbers(ctx)
	out = cut(all, size, func(r rollout.Rollout) client.Rollout { return rolloutOf(r, numbers) }, func(r rollout.Rollout) string { return string(r.ID) })
	some := make([]*client.Rollout, len(out.Items))
	for i := range out.Items {
		some[i] = &out.Items[i]
	}
	return out, s.judged(ctx, false, some...)
}

// releaseNumbers finds the numbers of releases, each once.
func (s *server) releaseNumbers(ctx context.Context) func(release.ID) int {
	known := map[release.ID]int{}
	return func(id release.ID) int {
		if _, ok := known[id]; !ok && id != "" {
			rel, err := s.Releases.Release(ctx, id)
			if err != nil {
				rel.Number = 0 // it is not kept any more
			}
			known[id] = rel.Number
		}
		return known[id]
	}
}

type rolloutPath struct {
	Rollout string `path:"rollout" maxLength:"64" doc:"id of a rollout, or current for the newest"`
}

func (s *server) getRollout(ctx context.Context, in *rolloutPath) (client.Rollout, error) {
	ro, err := s.findRollout(ctx, in.Rollout)
	if err != nil {
		return client.Rollout{}, err
	}
	return s.rollout(ctx, ro)
}

func (s *server) findRollout(ctx context.Context, name string) (rollout.Rollout, error) {
	a := at(ctx).app
	if name == "current" {
		newest, err := s.Rollouts.Rollouts(ctx, a.ID, 1)
		if err == nil && len(newest) == 0 {
			err = fault.New(fault.NotFound, "rollout", "%s was never rolled out", a.Name).WithTry("naru push %s", a.Name)
		}
		if err != nil {
			return rollout.Rollout{}, err
		}
		return newest[0], nil
	}
	ro, err := s.Rollouts.Rollout(ctx, rollout.ID(name))
	if err == nil && ro.App != a.ID {
		err = fault.New(fault.NotFound, "rollout", "rollout %s of %s does not exist", name, a.Name).WithTry("naru rollouts %s", a.Name)
	}
	return ro, err
}

// rollout shows a rollout, with its groups while it is on its way.
func (s *server) rollout(ctx context.Context, ro rollout.Rollout) (client.Rollout, error) {
	out := rolloutOf(ro, s.releaseNumbers(ctx))
	if err := s.judged(ctx, true, &out); err != nil || ro.State.Ended() {
		return out, err
	}
	groups, err := s.serverGroups(ctx, at(ctx).app, ro)
	for _, g := range groups {
		if g.Rollout != "" {
			out.Groups = append(out.Groups, g)
		}
	}
	if n, ok := s.Metrics.Requests(each(ro.New, func(g run.GroupID) string { return string(g) })...); ok {
		out.Requests = &n
	}
	return out, err
}

func rolloutOf(ro rollout.Rollout, number func(release.ID) int) client.Rollout {
	out := client.Rollout{
		ID: string(ro.ID), Release: number(ro.Release), From: number(ro.From), Strategy: string(ro.Spec.Kind), State: string(ro.State),
		Step: ro.Step, Weight: ro.Weight(), Reason: ro.Reason, CreatedAt: ro.Created, Since: ro.Moved, EndedAt: ro.Ended,
	}
	for _, step := range ro.Spec.Steps {
		out.Steps = append(out.Steps, fmt.Sprint(step))
	}
	if t := ro.Trip; t != nil {
		out.Trip = &client.RolloutTrip{At: t.Time, Measure: string(t.Measure), Group: t.Group, Text: t.Reason()}
	}
	if end, ok := nextOf(ro); ok {
		out.Next = &end
	}
	return out
}

// nextOf is when a rollout goes on by itself.
func nextOf(ro rollout.Rollout) (time.Time, bool) {
	switch {
	case ro.State == rollout.Watching && ro.Spec.Watch != nil:
		return ro.Moved.Add(ro.Spec.Watch.Std()), true
	case ro.State == rollout.Shifting && ro.Step < len(ro.Spec.Steps) && !ro.Reached.IsZero() && ro.Spec.Steps[ro.Step].Pause > 0:
		return ro.Reached.Add(ro.Spec.Steps[ro.Step].Pause.Std()), true
	}
	return time.Time{}, false
}

// ofApp writes an app's name where an error's way out says APP.
func ofApp(err error, name string) error {
	f := fault.Of(err)
	if f.Kind != fault.Conflict {
		return err
	}
	named := *f
	named.Try = strings.ReplaceAll(f.Try, "APP", name)
	return &named
}

// steer makes the handler of an action on a rollout.
func (s *server) steer(action rollout.Action) func(ctx context.Context, in *rolloutPath) (client.Rollout, error) {
	return func(ctx context.Context, in *rolloutPath) (client.Rollout, error) {
		ro, err := s.findRollout(ctx, in.Rollout)
		if err != nil {
			return client.Rollout{}, err
		}
		if ro, err = s.Rollouts.SteerRollout(ctx, ro.ID, action, requestOf(ctx).by().Actor); err != nil {
			return client.Rollout{}, ofApp(err, at(ctx).app.Name)
		}
		return s.rollout(ctx, ro)
	}
}
