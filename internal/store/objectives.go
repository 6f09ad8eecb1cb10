package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/route"
)

type objectiveRow struct {
	bun.BaseModel `bun:"table:objectives"`

	App      app.ID             `bun:"app_id,pk"`
	Name     string             `bun:"name,pk"`
	Origin   app.Origin         `bun:"origin"`
	Position int                `bun:"position"`
	Doc      doc[app.Objective] `bun:"doc"`
	Since    stamp              `bun:"since"`
	Updated  stamp              `bun:"updated"`
}

func (r objectiveRow) promise() app.Promise {
	return app.Promise{Objective: r.Doc.V, Origin: r.Origin, Since: r.Since.Time, Updated: r.Updated.Time}
}

// Objectives lists the objectives of an app: those of its manifest first, each
// origin in the order of its declaration.
func (s *Store) Objectives(ctx context.Context, a app.ID) ([]app.Objective, error) {
	all, err := s.Promises(ctx, a)
	return each(all, func(p app.Promise) app.Objective { return p.Objective }), err
}

// AllObjectives is Objectives of all apps that have any.
func (s *Store) AllObjectives(ctx context.Context) (map[app.ID][]app.Objective, error) {
	all, err := s.AllPromises(ctx)
	out := make(map[app.ID][]app.Objective, len(all))
	for a, promises := range all {
		out[a] = each(promises, func(p app.Promise) app.Objective { return p.Objective })
	}
	return out, err
}

// Promises is Objectives with what is known about each.
func (s *Store) Promises(ctx context.Context, a app.ID) ([]app.Promise, error) {
	rows, err := objectiveRows(ctx, s.read(ctx).NewSelect().Where("app_id = ?", a))
	return each(rows, objectiveRow.promise), err
}

// AllPromises is Promises of all apps that have any.
func (s *Store) AllPromises(ctx context.Context) (map[app.ID][]app.Promise, error) {
	rows, err := objectiveRows(ctx, s.read(ctx).NewSelect())
	out := map[app.ID][]app.Promise{}
	for _, r := range rows {
		out[r.App] = append(out[r.App], r.promise())
	}
	return out, err
}

func objectiveRows(ctx context.Context, q *bun.SelectQuery) ([]objectiveRow, error) {
	var rows []objectiveRow
	if err := q.Model(&rows).Order("app_id", "origin DESC", "position").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list objectives: %w", err)
	}
	return rows, nil
}

// counted lists what the gateways have to count for objectives.
func counted(ctx context.Context, db bun.IDB) (map[app.ID][]route.Counted, error) {
	rows, err := objectiveRows(ctx, db.NewSelect())
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	all := map[app.ID][]app.Objective{}
	for _, r := range rows {
		all[r.App] = append(all[r.App], r.Doc.V)
	}
	out := make(map[app.ID][]route.Counted, len(all))
	for a, objectives := range all {
		out[a] = route.CountedBy(objectives)
	}
	return out, nil
}

// SetObjectives makes these the objectives of one origin of an app, in place of
// those it had. A name that the other origin has is a Conflict. An objective that
// still counts the same is known since as long as before. Where anything changes,
// an event objectives.set says what.
func (s *Store) SetObjectives(ctx context.Context, a app.ID, origin app.Origin, all []app.Objective, actor string) error {
	return s.ChangeObjectives(ctx, a, origin, func([]app.Objective) ([]app.Objective, error) { return all, nil }, actor)
}

// ChangeObjectives is SetObjectives of what change makes of those that are there,
// with nobody else's change in between.
func (s *Store) ChangeObjectives(ctx context.Context, a app.ID, origin app.Origin, change func([]app.Objective) ([]app.Objective, error), actor string) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		rows, err := objectiveRows(ctx, t.NewSelect().Where("app_id = ?", a))
		if err != nil {
			return err
		}
		mine := slices.DeleteFunc(slices.Clone(rows), func(r objectiveRow) bool { return r.Origin != origin })
		all, err := change(each(mine, func(r objectiveRow) app.Objective { return r.Doc.V }))
		if err != nil {
			return err
		}
		next, err := t.promised(a, origin, rows, all)
		if err != nil {
			return err
		}
		detail := changes(mine, next)
		if detail == nil {
			return nil
		}
		if _, err := t.NewDelete().Model((*objectiveRow)(nil)).Where("app_id = ? AND origin = ?", a, origin).Exec(ctx); err != nil {
			return fmt.Errorf("set objectives of %s: %w", owner.Name, err)
		}
		if len(next) > 0 {
			if _, err := t.NewInsert().Model(&next).Exec(ctx); err != nil {
				return fmt.Errorf("set objectives of %s: %w", owner.Name, err)
			}
		}
		t.touch(Routes) // the gateways count what objectives ask for
		detail["origin"] = string(origin)
		return t.append(ctx, []event.Event{{Kind: "objectives.set", Actor: actor, Subject: owner.Name, Detail: detail}})
	})
}

// promised turns objectives of an origin into rows beside what there is.
func (t *tx) promised(a app.ID, origin app.Origin, have []objectiveRow, all []app.Objective) ([]objectiveRow, error) {
	old, others := map[string]objectiveRow{}, 0
	for _, r := range have {
		old[r.Name] = r
		if r.Origin != origin {
			others++
		}
	}
	if others+len(all) > app.MaxObjectives {
		return nil, fault.New(fault.TooLarge, "objectives", "%d objectives would be more than the %d an app may have", others+len(all), app.MaxObjectives).
			WithTry("three to five per journey are enough")
	}
	next := make([]objectiveRow, len(all))
	for i, o := range all {
		was, known := old[o.Name]
		if known && was.Origin != origin {
			return nil, taken(o.Name, was.Origin)
		}
		next[i] = objectiveRow{App: a, Name: o.Name, Origin: origin, Position: i, Doc: doc[app.Objective]{o}, Since: stamp{t.Now}, Updated: stamp{t.Now}}
		if known && app.SameCount(was.Doc.V, o) {
			next[i].Since = was.Since
		}
		if known && sameDoc(was.Doc, next[i].Doc) {
			next[i].Updated = was.Updated
		}
	}
	return next, nil
}

func taken(name string, by app.Origin) error {
	if by == app.FromManifest {
		return fault.New(fault.Conflict, "objectives", "the objective %q is declared in the app's manifest", name).
			WithTry("change it there and push, or give this one another name")
	}
	return fault.New(fault.Conflict, "objectives", "an objective %q was applied with naru slo apply", name).
		WithTry("naru slo delete APP %s, or give this one another name", name)
}

func sameDoc[T any](a, b doc[T]) bool {
	x, err1 := a.Value()
	y, err2 := b.Value()
	return err1 == nil && err2 == nil && x == y
}

// changes says what becomes of rows, for the event; nil where nothing does.
func changes(before, after []objectiveRow) map[string]any {
	was := map[string]objectiveRow{}
	for _, r := range before {
		was[r.Name] = r
	}
	detail := map[string]any{}
	note := func(key string, v any) {
		list, _ := detail[key].([]any)
		detail[key] = append(list, v)
	}
	moved := len(before) != len(after)
	for i, r := range after {
		old, known := was[r.Name]
		delete(was, r.Name)
		switch {
		case !known:
			note("added", r.Doc.V)
		case !sameDoc(old.Doc, r.Doc):
			note("changed", map[string]any{"before": old.Doc.V, "after": r.Doc.V})
		}
		moved = moved || before[i].Name != r.Name
	}
	for _, r := range before {
		if _, gone := was[r.Name]; gone {
			note("removed", r.Doc.V)
		}
	}
	if len(detail) == 0 && !moved {
		return nil
	}
	return detail
}
