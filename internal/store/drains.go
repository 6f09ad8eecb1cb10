package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/auth/vault"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
)

type drainRow struct {
	bun.BaseModel `bun:"table:drains"`

	ID      drain.ID      `bun:"id,pk"`
	Space   app.SpaceID   `bun:"space_id"`
	App     app.ID        `bun:"app_id,nullzero"`
	Name    string        `bun:"name"`
	Shown   string        `bun:"shown"`
	Fields  doc[[]string] `bun:"fields"`
	Search  string        `bun:"search"`
	CA      string        `bun:"ca"`
	Sealed  string        `bun:"sealed"`
	By      string        `bun:"set_by"`
	Created stamp         `bun:"created"`
}

func (r drainRow) declared() drain.Declared {
	return drain.Declared{
		ID: r.ID, Space: r.Space, App: r.App, Name: r.Name, Shown: r.Shown, Fields: r.Fields.V, Search: r.Search, CA: r.CA, By: r.By, Created: r.Created.Time,
	}
}

func (r drainRow) sealed() vault.Sealed { return vault.SealedDrain(r.Space, r.ID, r.Sealed) }

type drainedRow struct {
	bun.BaseModel `bun:"table:drained"`

	Drain   drain.ID `bun:"drain_id,pk"`
	App     app.ID   `bun:"app_id,pk"`
	Day     int      `bun:"day"`
	Line    int64    `bun:"line"`
	Sent    int64    `bun:"sent"`
	Dropped int64    `bun:"dropped"`
	Failing stamp    `bun:"failing"`
	Error   string   `bun:"error"`
}

func (r drainedRow) state() drain.State {
	return drain.State{Cursor: logs.Cursor{Day: r.Day, ID: r.Line}, Sent: r.Sent, Dropped: r.Dropped, Failing: r.Failing.Time, Error: r.Error}
}

func drainedOf(k drain.Kept) drainedRow {
	s := k.State
	return drainedRow{
		Drain: k.Drain, App: k.App, Day: s.Cursor.Day, Line: s.Cursor.ID, Sent: s.Sent, Dropped: s.Dropped, Failing: stamp{s.Failing}, Error: clean(s.Error),
	}
}

// AddDrain keeps a drain and its sealed receiver, and behind which line of each
// app's log it begins; Created is filled in. A name that the space has already is
// a Conflict.
func (s *Store) AddDrain(ctx context.Context, d drain.Declared, sealed string, begin map[app.ID]logs.Cursor, evs ...event.Event) (drain.Declared, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := s.Space(ctx, d.Space); err != nil {
			return err
		}
		t.about(d.Space, d.App)
		taken, err := t.NewSelect().Model((*drainRow)(nil)).Where("space_id = ? AND name = ?", d.Space, d.Name).Exists(ctx)
		if err != nil {
			return fmt.Errorf("look for drain %s: %w", d.Name, err)
		}
		if taken {
			return fault.New(fault.Conflict, "name", "this space has a drain %q already", d.Name).WithTry("another name, or naru drain delete %s first", d.Name)
		}
		d.Created = t.Now
		_, err = t.NewInsert().Model(&drainRow{
			ID: d.ID, Space: d.Space, App: d.App, Name: d.Name, Shown: d.Shown, Fields: doc[[]string]{d.Fields}, Search: d.Search, CA: d.CA,
			Sealed: sealed, By: d.By, Created: stamp{d.Created},
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep drain %s: %w", d.Name, err)
		}
		var states []drain.Kept
		for _, a := range slices.Sorted(maps.Keys(begin)) {
			states = append(states, drain.Kept{Drain: d.ID, App: a, State: drain.State{Cursor: begin[a]}})
		}
		return t.keepDrained(ctx, states)
	})
	return d, err
}

// Drains lists the drains of a space by name; of an app, those that pass its log
// on.
func (s *Store) Drains(ctx context.Context, space app.SpaceID, a app.ID) ([]drain.Declared, error) {
	var rows []drainRow
	q := s.read(ctx).NewSelect().Model(&rows).ExcludeColumn("sealed").Where("space_id = ?", space).Order("name")
	if a != "" {
		q.Where("app_id IS NULL OR app_id = ?", a)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list drains: %w", err)
	}
	return each(rows, drainRow.declared), nil
}

// DrainNamed returns a drain of a space by name.
func (s *Store) DrainNamed(ctx context.Context, space app.SpaceID, name string) (drain.Declared, error) {
	var row drainRow
	err := s.read(ctx).NewSelect().Model(&row).ExcludeColumn("sealed").Where("space_id = ? AND name = ?", space, name).Scan(ctx)
	return row.declared(), found(err, noDrain(name), "find drain")
}

// DrainTarget returns the sealed receiver of a drain.
func (s *Store) DrainTarget(ctx context.Context, d drain.ID) (sealed string, err error) {
	err = s.read(ctx).NewSelect().Model((*drainRow)(nil)).Column("sealed").Where("id = ?", d).Scan(ctx, &sealed)
	return sealed, found(err, noDrain(string(d)), "find drain")
}

// Drained returns how far a drain passed on the logs of its apps.
func (s *Store) Drained(ctx context.Context, d drain.ID) (map[app.ID]drain.State, error) {
	var rows []drainedRow
	if err := s.read(ctx).NewSelect().Model(&rows).Where("drain_id = ?", d).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read how far logs were drained: %w", err)
	}
	out := make(map[app.ID]drain.State, len(rows))
	for _, r := range rows {
		out[r.App] = r.state()
	}
	return out, nil
}

// DeleteDrain forgets a drain of a space and how far it was.
func (s *Store) DeleteDrain(ctx context.Context, space app.SpaceID, name string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		d, err := s.DrainNamed(ctx, space, name)
		if err != nil {
			return err
		}
		t.about(space, d.App)
		bound, err := s.Bindings(ctx, service.Find{Spaces: []app.SpaceID{space}})
		if err != nil {
			return err
		}
		for _, b := range bound {
			if string(b.ID) == string(d.ID) {
				return fault.New(fault.Conflict, "drain", "%s comes with the service %s, which is bound to %s", name, b.ServiceName, b.AppName).
					WithTry("naru unbind %s %s, or take its receiver from the service: naru service set %s --no-log-drain", b.AppName, b.ServiceName, b.ServiceName)
			}
		}
		res, err := t.NewDelete().Model((*drainRow)(nil)).Where("id = ?", d.ID).Exec(ctx)
		return changed(res, err, noDrain(name), "delete drain")
	})
}

// Courses lists all drains with each of their apps, named as people name them,
// and how far they are.
func (s *Store) Courses(ctx context.Context) (out []drain.Course, err error) {
	err = s.moment(ctx, func(db bun.IDB) error {
		var declared []drainRow
		if err := db.NewSelect().Model(&declared).ExcludeColumn("sealed").Scan(ctx); err != nil {
			return fmt.Errorf("list drains: %w", err)
		}
		if len(declared) == 0 {
			return nil
		}
		byID := make(map[drain.ID]drain.Declared, len(declared))
		for _, d := range declared {
			byID[d.ID] = d.declared()
		}
		var of []struct {
			Drain drain.ID `bun:"drain"`
			App   app.ID   `bun:"app"`
			Name  string   `bun:"name"`
			Space string   `bun:"space"`
			Org   string   `bun:"org"`
		}
		err := db.NewRaw(`SELECT d.id AS drain, a.id AS app, a.name AS name, s.name AS space, o.name AS org
			FROM drains d JOIN apps a ON a.space_id = d.space_id AND (d.app_id IS NULL OR d.app_id = a.id)
			JOIN spaces s ON s.id = a.space_id JOIN orgs o ON o.id = s.org_id ORDER BY d.id, a.id`).Scan(ctx, &of)
		if err != nil {
			return fmt.Errorf("list apps of drains: %w", err)
		}
		var states []drainedRow
		if err := db.NewSelect().Model(&states).Scan(ctx); err != nil {
			return fmt.Errorf("read how far logs were drained: %w", err)
		}
		type at struct {
			drain drain.ID
			app   app.ID
		}
		far := make(map[at]drain.State, len(states))
		for _, r := range states {
			far[at{r.Drain, r.App}] = r.state()
		}
		for _, c := range of {
			out = append(out, drain.Course{
				Declared: byID[c.Drain], Of: c.App, State: far[at{c.Drain, c.App}],
				From: drain.Source{Org: c.Org, Space: c.Space, App: c.Name, ID: string(c.App)},
			})
		}
		return nil
	})
	return out, err
}

// KeepDrained keeps how far drains are; those of drains and apps that are gone
// are passed over.
func (s *Store) KeepDrained(ctx context.Context, states []drain.Kept) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error { return t.keepDrained(ctx, states) })
}

func (t *tx) keepDrained(ctx context.Context, states []drain.Kept) error {
	for _, k := range states {
		r := drainedOf(k)
		_, err := t.NewRaw(`INSERT INTO drained (drain_id, app_id, day, line, sent, dropped, failing, error)
			SELECT d.id, a.id, ?2, ?3, ?4, ?5, ?6, ?7 FROM drains d, apps a WHERE d.id = ?0 AND a.id = ?1
			ON CONFLICT (drain_id, app_id) DO UPDATE SET day = EXCLUDED.day, line = EXCLUDED.line, sent = EXCLUDED.sent,
				dropped = EXCLUDED.dropped, failing = EXCLUDED.failing, error = EXCLUDED.error`,
			r.Drain, r.App, r.Day, r.Line, r.Sent, r.Dropped, r.Failing, r.Error).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note how far a log was drained: %w", err)
		}
	}
	return nil
}

func noDrain(name string) *fault.Error {
	return fault.New(fault.NotFound, "drain", "this space has no log drain %q", name).WithTry("naru drains")
}
