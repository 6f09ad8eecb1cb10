package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/observe/drain"
)

// Drains keeps where logs are passed on to; *drain.Desk does.
type Drains interface {
	List(ctx context.Context, space app.SpaceID, a app.ID) ([]drain.Standing, error)
	Add(ctx context.Context, d drain.Declared, to drain.Target) (drain.Standing, error)
	Delete(ctx context.Context, by string, space app.SpaceID, name string) error
	// Try sends one line. Its error is what the receiver says.
	Try(ctx context.Context, by string, from drain.Source, space app.SpaceID, name string) (drain.Declared, time.Duration, error)
}

type drainsInput struct {
	App string `query:"app" maxLength:"255" doc:"those that pass on the log of this app; absent: all"`
}

func (s *server) listDrains(ctx context.Context, in *drainsInput) (client.List[client.Drain], error) {
	space := at(ctx).space.ID
	of, err := s.drainedApp(ctx, in.App)
	if err != nil {
		return client.List[client.Drain]{}, err
	}
	all, err := s.Drains.List(ctx, space, of)
	if err != nil {
		return client.List[client.Drain]{}, err
	}
	out := make([]client.Drain, len(all))
	for i, d := range all {
		if out[i], err = s.drainOf(ctx, d); err != nil {
			return client.List[client.Drain]{}, err
		}
	}
	return whole(out, same), nil
}

type newDrainInput struct{ Body client.NewDrain }

func (s *server) addDrain(ctx context.Context, in *newDrainInput) (client.Drain, error) {
	of, err := s.drainedApp(ctx, in.Body.App)
	if err != nil {
		return client.Drain{}, err
	}
	b := in.Body
	d, err := s.Drains.Add(ctx, drain.Declared{
		Space: at(ctx).space.ID, App: of, Name: b.Name, Search: b.Search, CA: b.CA, By: requestOf(ctx).who.Name,
	}, drain.Target{URL: b.URL, Header: b.Headers})
	if err != nil {
		return client.Drain{}, err
	}
	return s.drainOf(ctx, d)
}

// drainedApp finds an app of the space; "" is all of them.
func (s *server) drainedApp(ctx context.Context, name string) (app.ID, error) {
	if name == "" {
		return "", nil
	}
	a, err := s.Apps.AppNamed(ctx, at(ctx).space.ID, name)
	return a.ID, err
}

type drainPath struct {
	Drain string `path:"drain" maxLength:"255" doc:"name of the drain"`
}

func (s *server) deleteDrain(ctx context.Context, in *drainPath) error {
	return s.Drains.Delete(ctx, requestOf(ctx).who.Name, at(ctx).space.ID, in.Drain)
}

func (s *server) testDrain(ctx context.Context, in *drainPath) (client.DrainTest, error) {
	p := at(ctx)
	from := drain.Source{Org: p.org.Name, Space: p.space.Name, App: "naru", ID: string(p.space.ID)}
	d, took, err := s.Drains.Try(ctx, requestOf(ctx).who.Name, from, p.space.ID, in.Drain)
	if d.ID == "" {
		return client.DrainTest{}, err
	}
	out := client.DrainTest{Took: err == nil, In: client.Duration(took.Round(time.Microsecond))}
	switch {
	case err != nil:
		out.Said = err.Error()
	case strings.HasPrefix(d.Shown, string(drain.Syslog)):
		out.Said = "the line arrived; syslog has no answers, so whether it is kept shows at the receiver"
	default:
		out.Said = "the receiver answered that it took the line"
	}
	return out, nil
}

func (s *server) drainOf(ctx context.Context, d drain.Standing) (client.Drain, error) {
	out := client.Drain{
		Name: d.Name, URL: d.Shown, Headers: slices.Sorted(slices.Values(d.Fields)), Search: d.Search, CA: d.CA != "", State: client.DrainFlowing,
		Sent: d.Sent, Dropped: d.Dropped, Behind: d.Behind, Oldest: d.Oldest, Failing: d.Failing, Error: d.Error, By: d.By, CreatedAt: d.Created,
	}
	switch {
	case !d.Failing.IsZero():
		out.State = client.DrainFailing
	case d.Behind > 0:
		out.State = client.DrainBehind
	}
	if d.App != "" {
		a, err := s.Apps.App(ctx, d.App)
		if err != nil {
			return out, err
		}
		out.App = a.Name
	}
	return out, nil
}
