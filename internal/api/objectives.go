package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/objective"
	"naru/internal/pipeline/promise"
)

// Promises keeps what apps promise, and says how far it is kept; *promise.Service
// does.
type Promises interface {
	Promises(ctx context.Context, a app.ID) ([]app.Promise, error)
	Probes(ctx context.Context, a app.ID) ([]app.Probe, error)
	Reports(ctx context.Context, a app.ID, now time.Time) ([]objective.Report, error)
	Apply(ctx context.Context, a app.ID, objectives []app.Objective, dry bool, actor string) ([]promise.Change, error)
	Delete(ctx context.Context, a app.ID, name, actor string) error
	Announce(ctx context.Context, m app.Maintenance) (app.Maintenance, []objective.Report, error)
	Maintenance(ctx context.Context, a app.ID, past bool) ([]app.Maintenance, error)
	Cancel(ctx context.Context, a app.ID, id, actor string) (app.Maintenance, error)
}

// listObjectives says what an app promises.
func (s *server) listObjectives(ctx context.Context, _ *nothing) (client.Declared, error) {
	a := at(ctx).app.ID
	promises, err := s.Promises.Promises(ctx, a)
	if err != nil {
		return client.Declared{}, err
	}
	probes, err := s.Promises.Probes(ctx, a)
	out := client.Declared{Objectives: []client.KeptObjective{}, Probes: []client.AppProbe{}}
	for _, p := range promises {
		out.Objectives = append(out.Objectives, client.KeptObjective{Objective: declaredOf(p.Objective), Origin: string(p.Origin)})
	}
	for _, p := range probes {
		out.Probes = append(out.Probes, client.AppProbe{
			Name: p.Name, Method: p.Method, Host: p.Host, Path: p.Path, Interval: client.Duration(p.Interval), Timeout: client.Duration(p.Timeout), Good: p.Good,
		})
	}
	return out, err
}

// slo says how far the promises of an app are kept.
func (s *server) slo(ctx context.Context, _ *nothing) (client.List[client.ObjectiveReport], error) {
	a := at(ctx).app
	out, err := s.reportsOf(ctx, a)
	return whole(out, same), err
}

// sloOfSpace says it of all apps of a space.
func (s *server) sloOfSpace(ctx context.Context, _ *nothing) (client.List[client.ObjectiveReport], error) {
	var all []client.ObjectiveReport
	after := ""
	for {
		apps, err := s.Apps.AppsAfter(ctx, at(ctx).space.ID, after, s.cfg.MaxPageItems)
		if err != nil {
			return client.List[client.ObjectiveReport]{}, err
		}
		for _, a := range apps {
			out, err := s.reportsOf(ctx, a)
			if fault.Is(err, fault.NotFound) { // deleted meanwhile
				continue
			}
			if err != nil {
				return client.List[client.ObjectiveReport]{}, err
			}
			all, after = append(all, out...), a.Name
		}
		if len(apps) < s.cfg.MaxPageItems {
			return whole(all, same), nil
		}
	}
}

func (s *server) reportsOf(ctx context.Context, a app.App) ([]client.ObjectiveReport, error) {
	reports, err := s.Promises.Reports(ctx, a.ID, time.Now())
	if err != nil || len(reports) == 0 {
		return nil, err
	}
	promises, err := s.Promises.Promises(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	kept := map[string]app.Promise{}
	for _, p := range promises {
		kept[p.Name] = p
	}
	out := make([]client.ObjectiveReport, len(reports))
	for i, r := range reports {
		out[i] = reportOf(a.Name, r, kept[r.Objective.Name])
	}
	return out, nil
}

type applyInput struct{ Body client.ApplyObjectives }

func (s *server) applyObjectives(ctx context.Context, in *applyInput) (client.ObjectiveChanges, error) {
	objectives, err := objectivesOf(in.Body.Objectives)
	if err != nil {
		return client.ObjectiveChanges{}, err
	}
	if len(objectives) == 0 {
		return client.ObjectiveChanges{}, fault.New(fault.Invalid, "objectives", "there is no objective to apply")
	}
	changes, err := s.Promises.Apply(ctx, at(ctx).app.ID, objectives, in.Body.DryRun, requestOf(ctx).who.Name)
	out := client.ObjectiveChanges{Changes: []client.ObjectiveChange{}}
	for _, c := range changes {
		one := client.ObjectiveChange{Name: c.Name(), Change: c.What}
		if c.Before != nil {
			o := declaredOf(*c.Before)
			one.Before = &o
		}
		if c.After != nil {
			o := declaredOf(*c.After)
			one.After = &o
		}
		out.Changes = append(out.Changes, one)
	}
	return out, err
}

type objectivePath struct {
	Objective string `path:"objective" maxLength:"63"`
}

func (s *server) deleteObjective(ctx context.Context, in *objectivePath) error {
	return s.Promises.Delete(ctx, at(ctx).app.ID, in.Objective, requestOf(ctx).who.Name)
}

type maintenanceInput struct {
	Past bool `query:"past" doc:"also what is over"`
}

func (s *server) listMaintenance(ctx context.Context, in *maintenanceInput) (client.List[client.PlannedMaintenance], error) {
	all, err := s.Promises.Maintenance(ctx, at(ctx).app.ID, in.Past)
	now := time.Now()
	return whole(all, func(m app.Maintenance) client.PlannedMaintenance { return maintenanceOf(m, now) }), err
}

type announceInput struct{ Body client.NewMaintenance }

func (s *server) announceMaintenance(ctx context.Context, in *announceInput) (client.Announced, error) {
	m, reports, err := s.Promises.Announce(ctx, app.Maintenance{
		App: at(ctx).app.ID, From: in.Body.From, To: in.Body.To, Reason: in.Body.Reason, Hit: in.Body.Hit, By: requestOf(ctx).who.Name,
	})
	if err != nil {
		return client.Announced{}, err
	}
	out := client.Announced{PlannedMaintenance: maintenanceOf(m, time.Now()), Objectives: []client.AnnouncedCost{}}
	for _, r := range reports {
		out.Objectives = append(out.Objectives, client.AnnouncedCost{Objective: r.Objective.Name, Reserved: r.Reserved, Left: r.Left})
	}
	return out, nil
}

type maintenancePath struct {
	Maintenance string `path:"maintenance" maxLength:"64"`
}

func (s *server) cancelMaintenance(ctx context.Context, in *maintenancePath) (client.PlannedMaintenance, error) {
	m, err := s.Promises.Cancel(ctx, at(ctx).app.ID, in.Maintenance, requestOf(ctx).who.Name)
	return maintenanceOf(m, time.Now()), err
}

func maintenanceOf(m app.Maintenance, now time.Time) client.PlannedMaintenance {
	out := client.PlannedMaintenance{ID: m.ID, From: m.From, To: m.To, Reason: m.Reason, Hit: m.Hit, By: m.By, AnnouncedAt: m.Announced, CancelledAt: m.Cancelled, State: "announced"}
	switch {
	case !m.Cancelled.IsZero():
		out.State = "cancelled"
	case !m.To.After(now):
		out.State = "over"
	case !m.From.After(now):
		out.State = "going on"
	}
	return out
}

// objectivesOf reads objectives as the wire has them, whose JSON is that of the
// domain.
func objectivesOf(in []client.Objective) ([]app.Objective, error) {
	out := make([]app.Objective, len(in))
	for i, o := range in {
		text, err := json.Marshal(o)
		if err == nil {
			err = json.Unmarshal(text, &out[i])
		}
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, fmt.Sprintf("objectives[%d]", i), err)
		}
	}
	return out, nil
}

func declaredOf(o app.Objective) client.Objective {
	out := client.Objective{
		Name: o.Name, Description: o.Description, Kind: string(o.Kind), Target: o.Target, Idle: string(o.Idle), Bad: o.Bad, Excluded: o.Excluded,
		Threshold: client.Duration(o.Threshold), Query: o.Query, GoodQuery: o.GoodQuery, BadQuery: o.BadQuery, TotalQuery: o.TotalQuery, Probe: o.Probe,
	}
	if o.Window != (app.Window{}) {
		out.Window = o.Window.String()
	}
	if o.Slice != (app.Slice{}) {
		out.Slice = &client.Slice{Length: client.Duration(o.Slice.Length), Target: o.Slice.Target}
	}
	if o.Bound != nil {
		out.Bound = &client.Bound{Op: o.Bound.Op, Value: o.Bound.Value}
	}
	for _, j := range o.Journeys {
		out.Journeys = append(out.Journeys, client.Journey{Methods: j.Methods, Host: j.Host, Path: j.Path, Weight: j.Weight, Target: j.Target})
	}
	return out
}

func reportOf(name string, r objective.Report, p app.Promise) client.ObjectiveReport {
	out := client.ObjectiveReport{
		App: name, Objective: declaredOf(r.Objective), Origin: string(p.Origin), Text: objective.Describe(r.Objective), Now: r.Now, From: r.Period.From, To: r.Period.To, Observed: client.Duration(r.Observed),
		Known: r.Known, Met: r.Met(), Measured: r.Ratio, Target: r.Target, Good: r.Good, Total: r.Total,
		Budget: r.Budget.Seconds(), Used: r.Used, Left: r.Left, LeftSeconds: r.LeftTime().Seconds(), Reserved: r.Reserved, Exhausted: r.Exhausted,
		Burns: []client.Burn{}, Ledger: debitsOf(r.Ledger), Ahead: debitsOf(r.Ahead), Notes: r.Notes, UpdatedAt: p.Updated, CountedSince: p.Since,
	}
	for _, b := range r.Burns {
		out.Burns = append(out.Burns, client.Burn{Window: client.Duration(b.Window), Rate: b.Rate, Known: b.Known})
	}
	for _, p := range r.Parts {
		if p.Journey != "" {
			out.Parts = append(out.Parts, client.Part{Journey: p.Journey, Weight: p.Weight, Target: p.Target, Measured: p.Ratio, Known: p.Known, Good: p.Good, Total: p.Total})
		}
	}
	return out
}

func debitsOf(all []objective.Debit) []client.Debit {
	out := make([]client.Debit, len(all))
	for i, d := range all {
		out[i] = client.Debit{Kind: string(d.Kind), Name: d.Name, From: d.From, To: d.To, Bad: d.Bad, Budget: d.Budget, Seconds: d.Time.Seconds()}
	}
	return out
}
