package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/route"
)

type routeRow struct {
	bun.BaseModel `bun:"table:routes"`

	ID      route.ID         `bun:"id,pk"`
	Space   app.SpaceID      `bun:"space_id"`
	Host    string           `bun:"host"`
	Path    string           `bun:"path"`
	WhenKey string           `bun:"when_key"` // of When, for it to be unique
	When    doc[*route.When] `bun:"when_doc"`
	Terms   doc[routeTerms]  `bun:"terms"`
	Created stamp            `bun:"created"`
	Updated stamp            `bun:"updated"`
}

// routeTerms are what a route asks, and what makes it one of connections.
type routeTerms struct {
	route.Terms
	TCP *route.TCP `json:"tcp,omitempty"`
}

func routeRowOf(r route.Route) *routeRow {
	host, path := r.Place()
	return &routeRow{
		ID: r.ID, Space: r.Space, Host: host, Path: path, WhenKey: r.When.Key(), When: doc[*route.When]{r.When},
		Terms: doc[routeTerms]{routeTerms{r.Terms, r.TCP}}, Created: stamp{r.Created}, Updated: stamp{r.Updated},
	}
}

func (r routeRow) route() route.Route {
	out := route.Route{
		ID: r.ID, Space: r.Space, Host: r.Host, Path: r.Path, When: r.When.V, Terms: r.Terms.V.Terms, TCP: r.Terms.V.TCP,
		Created: r.Created.Time, Updated: r.Updated.Time,
	}
	if out.TCP != nil {
		if out.Path = ""; out.TCP.Port > 0 {
			out.Host = ""
		}
	}
	return out
}

type destinationRow struct {
	bun.BaseModel `bun:"table:destinations"`

	ID       string       `bun:"id,pk"`
	Route    route.ID     `bun:"route_id"`
	App      app.ID       `bun:"app_id"`
	Process  string       `bun:"process"`
	Port     int          `bun:"port"`
	Weight   route.Weight `bun:"weight"`
	Protocol string       `bun:"protocol"`
	Position int          `bun:"position"` // their order in the route
}

func (r destinationRow) destination() route.Destination {
	return route.Destination{ID: r.ID, App: r.App, Process: r.Process, Port: r.Port, Weight: r.Weight, Protocol: r.Protocol}
}

// pathName is a route's Name in SQL.
const pathName = `(CASE path WHEN ':sni' THEN 'sni:' ELSE '' END || host || CASE path WHEN '/' THEN '' WHEN ':sni' THEN '' ELSE path END || CASE when_key WHEN '' THEN '' ELSE ' ' || when_key END)`

func noRoute(name string) *fault.Error {
	return fault.New(fault.NotFound, "route", "route %q does not exist", name).WithTry("naru routes")
}

// SetRoute stores a route with its destinations, in place of what it was; Created
// and Updated are filled in. A host, path and condition that another route has
// is a Conflict, and so is a host and path that another space has, which does not
// tell whose it is.
func (s *Store) SetRoute(ctx context.Context, r route.Route, evs ...event.Event) (route.Route, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		old, err := t.claimRoute(ctx, s, r)
		if err != nil {
			return err
		}
		r.Created, r.Updated = t.Now, t.Now
		if old.ID != "" {
			r.Created = old.Created
		}
		t.touch(Routes)
		for _, d := range append(old.Destinations, r.Destinations...) {
			t.touch(AppTopic(d.App))
		}
		t.about(r.Space, "")
		_, err = t.NewInsert().Model(routeRowOf(r)).On("CONFLICT (id) DO UPDATE").
			Set("host = EXCLUDED.host, path = EXCLUDED.path, when_key = EXCLUDED.when_key, when_doc = EXCLUDED.when_doc").
			Set("terms = EXCLUDED.terms, updated = EXCLUDED.updated").Exec(ctx)
		if err != nil {
			return fmt.Errorf("map %s: %w", r.Name(), err)
		}
		if _, err := t.NewDelete().Model((*destinationRow)(nil)).Where("route_id = ?", r.ID).Exec(ctx); err != nil {
			return fmt.Errorf("map %s: %w", r.Name(), err)
		}
		for i, d := range r.Destinations {
			_, err := t.NewInsert().Model(&destinationRow{
				ID: d.ID, Route: r.ID, App: d.App, Process: d.Process, Port: d.Port, Weight: d.Weight, Protocol: d.Protocol, Position: i,
			}).Exec(ctx)
			if err != nil {
				return fmt.Errorf("map %s to %s: %w", r.Name(), d.App, err)
			}
		}
		return nil
	})
	return r, err
}

// claimRoute returns the route as it is stored, if it is, and refuses one whose
// place is taken or whose destinations are of another space.
func (t *tx) claimRoute(ctx context.Context, s *Store, r route.Route) (old route.Route, err error) {
	old, err = s.Route(ctx, r.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return old, err
	}
	if err == nil && old.Space != r.Space {
		return old, fmt.Errorf("map %s: a route stays in its space", r.Name())
	}
	host, path := r.Place()
	others, err := s.RoutesAt(ctx, host, path)
	if err != nil {
		return old, err
	}
	if err := t.claimName(ctx, s, r); err != nil {
		return old, err
	}
	for _, other := range others {
		switch {
		case other.ID == r.ID:
		case other.Space != r.Space: // whatever the conditions: who has a host decides about all its requests
			return old, ofAnother(r)
		case other.When.Key() == r.When.Key():
			return old, fault.New(fault.Conflict, "host", "the route %s exists already in this space", r.Name()).
				WithTry("naru routes")
		}
	}
	for _, d := range r.Destinations {
		a, err := s.App(ctx, d.App)
		if err != nil {
			return old, err
		}
		if a.Space != r.Space {
			return old, noApp(string(d.App))
		}
	}
	return old, nil
}

// ofAnother is the error for a place of another space.
func ofAnother(r route.Route) error {
	if r.TCP != nil {
		return fault.New(fault.Conflict, "port", "the route %s belongs to another space", r.Name()).WithTry("choose another port or name")
	}
	return fault.New(fault.Conflict, "host", "the route %s belongs to another space", route.Name(r.Host, r.Path)).
		WithTry("choose another host or path")
}

// claimName refuses a name of one space for another one's connections: whoever
// has them has its visitors, whatever they ask for.
func (t *tx) claimName(ctx context.Context, s *Store, r route.Route) error {
	if r.Host == "" {
		return nil
	}
	others, err := s.routes(ctx, s.read(ctx), func(q *bun.SelectQuery) {
		q.Where("host = ? AND space_id <> ?", r.Host, r.Space).Limit(1)
		if r.TCP == nil {
			q.Where("path = ':sni'")
		}
	})
	if err == nil && len(others) > 0 {
		return ofAnother(r)
	}
	return err
}

// Route returns a route by id.
func (s *Store) Route(ctx context.Context, r route.ID) (route.Route, error) {
	return s.oneRoute(ctx, string(r), func(q *bun.SelectQuery) { q.Where("id = ?", r) })
}

// RouteNamed returns the route without a condition, of any space, by host and
// path in the form of the table.
func (s *Store) RouteNamed(ctx context.Context, host, path string) (route.Route, error) {
	return s.oneRoute(ctx, route.Name(host, path), func(q *bun.SelectQuery) { q.Where("host = ? AND path = ? AND when_key = ''", host, path) })
}

// RoutesAt lists the routes of any space at a host and path in the form of the
// table, by condition; the one without comes first.
func (s *Store) RoutesAt(ctx context.Context, host, path string) ([]route.Route, error) {
	return s.routes(ctx, s.read(ctx), func(q *bun.SelectQuery) { q.Where("host = ? AND path = ?", host, path) })
}

func (s *Store) oneRoute(ctx context.Context, name string, where func(*bun.SelectQuery)) (route.Route, error) {
	routes, err := s.routes(ctx, s.read(ctx), where)
	if err == nil && len(routes) == 0 {
		err = noRoute(name)
	}
	if err != nil {
		return route.Route{}, err
	}
	return routes[0], nil
}

// RoutesAfter lists at most limit routes of a space whose Name is above after,
// by Name.
func (s *Store) RoutesAfter(ctx context.Context, space app.SpaceID, after string, limit int) ([]route.Route, error) {
	return s.routes(ctx, s.read(ctx), func(q *bun.SelectQuery) {
		q.Where("space_id = ?", space).Where(pathName+" > ?", after).Limit(int64(limit))
	})
}

// RoutesOf lists the routes that lead to any of the apps, by Name.
func (s *Store) RoutesOf(ctx context.Context, apps ...app.ID) ([]route.Route, error) {
	return s.routes(ctx, s.read(ctx), func(q *bun.SelectQuery) {
		q.Where("id IN (SELECT route_id FROM destinations WHERE app_id IN (?))", in(apps))
	})
}

// RoutesAll lists all routes of the platform by Name.
func (s *Store) RoutesAll(ctx context.Context) ([]route.Route, error) {
	return s.routes(ctx, s.read(ctx), func(*bun.SelectQuery) {})
}

// routes reads routes by Name, with their destinations.
func (s *Store) routes(ctx context.Context, db bun.IDB, where func(*bun.SelectQuery)) ([]route.Route, error) {
	var rows []routeRow
	q := db.NewSelect().Model(&rows).OrderExpr(pathName)
	where(q)
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	routes, at := each(rows, routeRow.route), map[route.ID]int{}
	ids := make([]route.ID, len(routes))
	for i, r := range routes {
		at[r.ID], ids[i] = i, r.ID
	}
	var destinations []destinationRow
	d := db.NewSelect().Model(&destinations).Order("route_id", "position")
	if len(ids) <= 1000 { // of a whole table all destinations are read: no list of ids in the query
		d.Where("route_id IN (?)", in(ids))
	}
	if err := d.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list destinations: %w", err)
	}
	for _, row := range destinations {
		if i, ok := at[row.Route]; ok {
			routes[i].Destinations = append(routes[i].Destinations, row.destination())
		}
	}
	return routes, nil
}

// DeleteRoute removes a route; one that is not there is a NotFound.
func (s *Store) DeleteRoute(ctx context.Context, r route.ID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		have, err := s.Route(ctx, r)
		if err != nil {
			return err
		}
		t.touch(Routes)
		for _, d := range have.Destinations {
			t.touch(AppTopic(d.App))
		}
		t.about(have.Space, "")
		if _, err := t.NewDelete().Model((*routeRow)(nil)).Where("id = ?", r).Exec(ctx); err != nil {
			return fmt.Errorf("delete route %s: %w", have.Name(), err)
		}
		return t.unlabel(ctx, label.Routes, string(r))
	})
}
