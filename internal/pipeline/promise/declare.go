package promise

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge/objective"
	"naru/internal/route"
)

// Check refuses objectives and probes of a manifest that could not be kept for an
// app. "" is an app that is not there yet.
func (s *Service) Check(ctx context.Context, a app.ID, objectives []app.Objective, probes []app.Probe) error {
	if err := app.CheckProbes("probes", probes); err != nil {
		return err
	}
	var others []app.Objective
	if a != "" {
		promises, err := s.store.Promises(ctx, a)
		if err != nil {
			return err
		}
		for _, p := range promises {
			if p.Origin == app.FromManifest {
				continue
			}
			others = append(others, p.Objective)
			if i := slices.IndexFunc(objectives, func(o app.Objective) bool { return o.Name == p.Name }); i >= 0 {
				return fault.New(fault.Conflict, fmt.Sprintf("objectives[%d].name", i), "an objective %q was applied with naru slo apply", p.Name).
					WithTry("naru slo delete APP %s, or give this one another name", p.Name)
			}
			if p.Probe != "" && !hasProbe(probes, p.Probe) {
				return fault.New(fault.Conflict, "probes", "the objective %q, which was applied, needs a probe %q", p.Name, p.Probe).
					WithTry("leave the probe where it is, or  naru slo delete APP %s", p.Name)
			}
		}
	}
	return s.check(objectives, others, probes)
}

func hasProbe(probes []app.Probe, name string) bool {
	return slices.ContainsFunc(probes, func(p app.Probe) bool { return p.Name == name })
}

// check refuses objectives that cannot be judged here, beside others that are kept.
func (s *Service) check(objectives, others []app.Objective, probes []app.Probe) error {
	if err := app.CheckObjectives("objectives", objectives); err != nil {
		return err
	}
	var errs []error
	for i, o := range objectives {
		at := fmt.Sprintf("objectives[%d]", i)
		bad := func(key, try, format string, args ...any) {
			errs = append(errs, fault.New(fault.Invalid, at+key, format, args...).WithTry("%s", try))
		}
		if o.Probe != "" && !hasProbe(probes, o.Probe) {
			bad(".probe", "declare it below  probes:  of the app's manifest, and push", "the app has no probe %q%s", o.Probe, named(probes))
		}
		for _, q := range []struct{ key, text string }{{".query", o.Query}, {".good_query", o.GoodQuery}, {".bad_query", o.BadQuery}, {".total_query", o.TotalQuery}} {
			if q.text == "" {
				continue
			}
			if err := s.query(strings.ReplaceAll(q.text, app.WindowVariable, "1m")); err != nil {
				bad(q.key, "try it in Grafana or with promtool query", "it is no PromQL: %s", fault.Of(err).Message)
			}
		}
		if w := o.Filled().Window; w.Longest() > s.limits.Retention {
			bad(".window", "a shorter window, or keep metrics longer: metrics.retention", "a window of %s is longer than metrics are kept (%s)", w, app.Days(s.limits.Retention))
		}
	}
	if n := len(route.CountedBy(append(slices.Clone(others), objectives...))); n > s.limits.Journeys {
		errs = append(errs, fault.New(fault.TooLarge, "objectives", "%d journeys would be counted, and an app may have %d (objectives.journeys)", n, s.limits.Journeys).
			WithTry("three to five objectives for each thing that users do are enough"))
	}
	return errors.Join(errs...)
}

func named(probes []app.Probe) string {
	if len(probes) == 0 {
		return ""
	}
	names := make([]string, len(probes))
	for i, p := range probes {
		names[i] = p.Name
	}
	return ", only " + strings.Join(names, ", ")
}

// Declare makes these the objectives and probes of an app's manifest.
func (s *Service) Declare(ctx context.Context, a app.ID, objectives []app.Objective, probes []app.Probe, actor string) error {
	defer s.forget(a)
	return s.store.Together(ctx, func(ctx context.Context) error {
		if err := s.Check(ctx, a, objectives, probes); err != nil { // others may have applied some meanwhile
			return err
		}
		if err := s.store.SetObjectives(ctx, a, app.FromManifest, objectives, actor); err != nil {
			return err
		}
		return s.store.SetProbes(ctx, a, probes, actor)
	})
}

// Change is what becomes of one objective.
type Change struct {
	What   string // added, changed, unchanged or removed
	Before *app.Objective
	After  *app.Objective
}

// Name is the objective's.
func (c Change) Name() string {
	if c.After != nil {
		return c.After.Name
	}
	return c.Before.Name
}

func equal(a, b app.Objective) bool { return reflect.DeepEqual(a, b) }

// errDry ends a transaction that was only to be seen.
var errDry = errors.New("nothing is to be changed")

// Apply adds objectives to those that were applied to an app, or puts them in the
// place of those of the same names. With dry it changes nothing, and says what it
// would.
func (s *Service) Apply(ctx context.Context, a app.ID, objectives []app.Objective, dry bool, actor string) ([]Change, error) {
	defer s.forget(a)
	probes, err := s.store.Probes(ctx, a)
	if err != nil {
		return nil, err
	}
	var changes []Change
	err = s.store.Together(ctx, func(ctx context.Context) error {
		promises, err := s.store.Promises(ctx, a)
		if err != nil {
			return err
		}
		var others []app.Objective
		for _, p := range promises {
			if !slices.ContainsFunc(objectives, func(o app.Objective) bool { return o.Name == p.Name }) {
				others = append(others, p.Objective)
			}
		}
		if err := s.check(objectives, others, probes); err != nil {
			return err
		}
		for i, o := range objectives {
			if slices.ContainsFunc(promises, func(p app.Promise) bool { return p.Name == o.Name && p.Origin == app.FromManifest }) {
				return fault.New(fault.Conflict, fmt.Sprintf("objectives[%d].name", i), "the objective %q is declared in the app's manifest", o.Name).
					WithTry("change it there and push, or give this one another name")
			}
		}
		err = s.store.ChangeObjectives(ctx, a, app.Applied, func(have []app.Objective) ([]app.Objective, error) {
			changes = nil
			for _, o := range objectives {
				i := slices.IndexFunc(have, func(h app.Objective) bool { return h.Name == o.Name })
				if i < 0 {
					have = append(have, o)
					changes = append(changes, Change{What: "added", After: &o})
					continue
				}
				before := have[i]
				have[i] = o
				changes = append(changes, Change{What: "changed", Before: &before, After: &o})
				if equal(before, o) {
					changes[len(changes)-1].What = "unchanged"
				}
			}
			return have, nil
		}, actor)
		if err == nil && dry {
			return errDry
		}
		return err
	})
	if errors.Is(err, errDry) {
		err = nil
	}
	return changes, err
}

// Delete forgets an objective that was applied.
func (s *Service) Delete(ctx context.Context, a app.ID, name, actor string) error {
	defer s.forget(a)
	promises, err := s.store.Promises(ctx, a)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(promises, func(p app.Promise) bool { return p.Name == name })
	if i < 0 {
		return fault.New(fault.NotFound, "objective", "the app has no objective %q", name).WithTry("naru slo APP lists them")
	}
	if promises[i].Origin == app.FromManifest {
		return fault.New(fault.Conflict, "objective", "the objective %q is declared in the app's manifest", name).WithTry("take it out there and push")
	}
	return s.store.ChangeObjectives(ctx, a, app.Applied, func(have []app.Objective) ([]app.Objective, error) {
		return slices.DeleteFunc(have, func(o app.Objective) bool { return o.Name == name }), nil
	}, actor)
}

// Announce keeps maintenance of an app, if there is budget for it: it would be taken
// from every objective. From, where it is zero, is now.
func (s *Service) Announce(ctx context.Context, m app.Maintenance) (app.Maintenance, []objective.Report, error) {
	now := s.now()
	if m.From.IsZero() {
		m.From = now
	}
	if err := m.Check(now); err != nil {
		return m, nil, err
	}
	if m.From.Before(now) {
		return m, nil, fault.New(fault.Invalid, "from", "only what is to come can be announced").WithTry("leave --from out for now")
	}
	s.forget(m.App)
	reports, err := s.Reports(ctx, m.App, now)
	if err != nil {
		return m, nil, err
	}
	var errs []error
	for _, r := range reports {
		errs = append(errs, r.Announce(objective.Cause{Kind: objective.Maintenance, Name: m.Reason, Span: objective.Span{From: m.From, To: m.To}, Hit: m.Hit}))
	}
	if err := errors.Join(errs...); err != nil {
		return m, nil, err
	}
	if m, err = s.store.AnnounceMaintenance(ctx, m); err != nil {
		return m, nil, err
	}
	s.forget(m.App)
	reports, err = s.Reports(ctx, m.App, now)
	return m, reports, err
}

// Maintenance lists what is announced of an app: what is not over, or all that is
// known.
func (s *Service) Maintenance(ctx context.Context, a app.ID, past bool) ([]app.Maintenance, error) {
	after := s.now()
	if past {
		after = after.Add(-app.MaxWindow.Std())
	}
	return s.store.Maintenance(ctx, a, after)
}

// Cancel calls maintenance off.
func (s *Service) Cancel(ctx context.Context, a app.ID, id, actor string) (app.Maintenance, error) {
	defer s.forget(a)
	return s.store.CancelMaintenance(ctx, a, id, actor)
}
