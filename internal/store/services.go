package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/app/service"
	"naru/internal/auth/vault"
	"naru/internal/event"
	"naru/internal/fault"
)

type serviceRow struct {
	bun.BaseModel `bun:"table:services"`

	ID       service.ID    `bun:"id,pk"`
	Space    app.SpaceID   `bun:"space_id"`
	Name     string        `bun:"name"`
	Tags     doc[[]string] `bun:"tags"`
	Drain    string        `bun:"drain"`
	RouteURL string        `bun:"route_url"`
	Sealed   string        `bun:"sealed"`
	By       string        `bun:"set_by"`
	Created  stamp         `bun:"created"`
	Updated  stamp         `bun:"updated"`
}

func (r serviceRow) service() service.Service {
	return service.Service{
		ID: r.ID, Space: r.Space, Name: r.Name, Tags: r.Tags.V, Drain: r.Drain, RouteURL: r.RouteURL, By: r.By,
		Created: r.Created.Time, Updated: r.Updated.Time,
	}
}

func (r serviceRow) sealed() vault.Sealed { return vault.SealedService(r.ID, r.Sealed) }

func rowOfService(s service.Service, sealed string) *serviceRow {
	return &serviceRow{
		ID: s.ID, Space: s.Space, Name: s.Name, Tags: doc[[]string]{s.Tags}, Drain: s.Drain, RouteURL: s.RouteURL, Sealed: sealed,
		By: clean(s.By), Created: stamp{s.Created}, Updated: stamp{s.Updated},
	}
}

// AddService keeps a service and its sealed content; Created and Updated are
// filled in. A name that the space has already is a Conflict.
func (s *Store) AddService(ctx context.Context, one service.Service, sealed string, evs ...event.Event) (service.Service, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := s.Space(ctx, one.Space); err != nil {
			return err
		}
		t.about(one.Space, "")
		if err := t.freeServiceName(ctx, one); err != nil {
			return err
		}
		one.Created, one.Updated = t.Now, t.Now
		if _, err := t.NewInsert().Model(rowOfService(one, sealed)).Exec(ctx); err != nil {
			return fmt.Errorf("keep service %s: %w", one.Name, err)
		}
		return nil
	})
	return one, err
}

// SetService keeps what a service has become; Updated is filled in. With "" for
// sealed its content stays.
func (s *Store) SetService(ctx context.Context, one service.Service, sealed string, evs ...event.Event) (service.Service, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(one.Space, "")
		if err := t.freeServiceName(ctx, one); err != nil {
			return err
		}
		one.Updated = t.Now
		columns := []string{"name", "tags", "drain", "route_url", "updated"}
		if sealed != "" {
			columns = append(columns, "sealed")
		}
		res, err := t.NewUpdate().Model(rowOfService(one, sealed)).Column(columns...).WherePK().Exec(ctx)
		return changed(res, err, noService(one.Name), "change service")
	})
	return one, err
}

func (t *tx) freeServiceName(ctx context.Context, one service.Service) error {
	taken, err := t.NewSelect().Model((*serviceRow)(nil)).Where("space_id = ? AND name = ? AND id <> ?", one.Space, one.Name, one.ID).Exists(ctx)
	if err != nil {
		return fmt.Errorf("look for service %s: %w", one.Name, err)
	}
	if taken {
		return fault.New(fault.Conflict, "name", "this space has a service %q already", one.Name).WithTry("another name, or change it: naru service set %s", one.Name)
	}
	return nil
}

// Service returns a service.
func (s *Store) Service(ctx context.Context, id service.ID) (service.Service, error) {
	var row serviceRow
	err := s.read(ctx).NewSelect().Model(&row).ExcludeColumn("sealed").Where("id = ?", id).Scan(ctx)
	return row.service(), found(err, noService(string(id)), "find service")
}

// ServiceNamed returns a service of a space by name.
func (s *Store) ServiceNamed(ctx context.Context, space app.SpaceID, name string) (service.Service, error) {
	var row serviceRow
	err := s.read(ctx).NewSelect().Model(&row).ExcludeColumn("sealed").Where("space_id = ? AND name = ?", space, name).Scan(ctx)
	return row.service(), found(err, noService(name), "find service")
}

// Services lists the services of spaces, of all for none, by name.
func (s *Store) Services(ctx context.Context, spaces ...app.SpaceID) ([]service.Service, error) {
	var rows []serviceRow
	q := s.read(ctx).NewSelect().Model(&rows).ExcludeColumn("sealed").Order("name", "id")
	if len(spaces) > 0 {
		q.Where("space_id IN (?)", in(spaces))
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	return each(rows, serviceRow.service), nil
}

// ServiceContent returns the sealed content of a service.
func (s *Store) ServiceContent(ctx context.Context, id service.ID) (sealed string, err error) {
	err = s.read(ctx).NewSelect().Model((*serviceRow)(nil)).Column("sealed").Where("id = ?", id).Scan(ctx, &sealed)
	return sealed, found(err, noService(string(id)), "find service")
}

// DeleteService forgets a service. One that is bound is a Conflict that names the
// apps.
func (s *Store) DeleteService(ctx context.Context, id service.ID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		one, err := s.Service(ctx, id)
		if err != nil {
			return err
		}
		t.about(one.Space, "")
		bound, err := s.Bindings(ctx, service.Find{Services: []service.ID{id}})
		if err != nil {
			return err
		}
		if len(bound) > 0 {
			apps := each(bound, func(b service.Standing) string { return b.AppName })
			return fault.New(fault.Conflict, "service", "%s is bound to %s", one.Name, strings.Join(apps, ", ")).
				WithTry("naru unbind %s %s", apps[0], one.Name)
		}
		res, err := t.NewDelete().Model((*serviceRow)(nil)).Where("id = ?", id).Exec(ctx)
		if err := changed(res, err, noService(one.Name), "delete service"); err != nil {
			return err
		}
		return t.unlabel(ctx, label.Services, string(id))
	})
}

type bindingRow struct {
	bun.BaseModel `bun:"table:bindings"`

	ID      service.BindingID `bun:"id,pk"`
	Service service.ID        `bun:"service_id"`
	App     app.ID            `bun:"app_id"`
	Name    string            `bun:"name"`
	By      string            `bun:"set_by"`
	Created stamp             `bun:"created"`
}

func (r bindingRow) binding() service.Binding {
	return service.Binding{ID: r.ID, Service: r.Service, App: r.App, Name: r.Name, By: r.By, Created: r.Created.Time}
}

// AddBinding binds a service to an app of its space; Created is filled in. A
// service that the app has already, and a name that another of its bindings has,
// are Conflicts of the fields service and binding_name.
func (s *Store) AddBinding(ctx context.Context, b service.Binding, evs ...event.Event) (service.Binding, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		one, err := s.Service(ctx, b.Service)
		if err != nil {
			return err
		}
		a, err := s.App(ctx, b.App)
		if err != nil {
			return err
		}
		if a.Space != one.Space {
			return fault.New(fault.Invalid, "service", "%s and %s are in different spaces", one.Name, a.Name)
		}
		t.about(a.Space, a.ID)
		have, err := s.Bindings(ctx, service.Find{Apps: []app.ID{a.ID}})
		if err != nil {
			return err
		}
		for _, h := range have {
			if h.Service == b.Service {
				return fault.New(fault.Conflict, "service", "%s is bound to %s already", one.Name, a.Name).WithTry("naru restart %s gives it to what runs", a.Name)
			}
			if h.Name == b.Name && b.Name != "" {
				return fault.New(fault.Conflict, "binding_name", "%s has a binding %q already, of %s", a.Name, b.Name, h.ServiceName).WithTry("another --name")
			}
		}
		b.Created = t.Now
		_, err = t.NewInsert().Model(&bindingRow{ID: b.ID, Service: b.Service, App: b.App, Name: b.Name, By: clean(b.By), Created: stamp{b.Created}}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("bind %s: %w", one.Name, err)
		}
		return nil
	})
	return b, err
}

// Bindings lists bindings with the names of their ends, oldest first.
func (s *Store) Bindings(ctx context.Context, f service.Find) ([]service.Standing, error) {
	var rows []struct {
		bindingRow
		ServiceName string      `bun:"service_name"`
		AppName     string      `bun:"app_name"`
		Space       app.SpaceID `bun:"space_id"`
	}
	q := s.read(ctx).NewSelect().TableExpr("bindings AS b").Join("JOIN services AS s ON s.id = b.service_id").Join("JOIN apps AS a ON a.id = b.app_id").
		ColumnExpr("b.*, s.name AS service_name, a.name AS app_name, s.space_id AS space_id").OrderExpr("b.created, b.id")
	if len(f.IDs) > 0 {
		q.Where("b.id IN (?)", in(f.IDs))
	}
	if len(f.Services) > 0 {
		q.Where("b.service_id IN (?)", in(f.Services))
	}
	if len(f.Apps) > 0 {
		q.Where("b.app_id IN (?)", in(f.Apps))
	}
	if len(f.Spaces) > 0 {
		q.Where("s.space_id IN (?)", in(f.Spaces))
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, fmt.Errorf("list bindings: %w", err)
	}
	out := make([]service.Standing, len(rows))
	for i, r := range rows {
		out[i] = service.Standing{Binding: r.binding(), ServiceName: r.ServiceName, AppName: r.AppName, Space: r.Space}
	}
	return out, nil
}

// Binding returns a binding.
func (s *Store) Binding(ctx context.Context, id service.BindingID) (service.Binding, error) {
	var row bindingRow
	err := s.read(ctx).NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	return row.binding(), found(err, noBinding(string(id)), "find binding")
}

// DeleteBinding takes a service from an app, with the log drain that it made.
func (s *Store) DeleteBinding(ctx context.Context, id service.BindingID, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		b, err := s.Binding(ctx, id)
		if err != nil {
			return err
		}
		a, err := s.App(ctx, b.App)
		if err != nil {
			return err
		}
		t.about(a.Space, a.ID)
		if err := s.DeleteBindingDrain(ctx, id); err != nil {
			return err
		}
		res, err := t.NewDelete().Model((*bindingRow)(nil)).Where("id = ?", id).Exec(ctx)
		return changed(res, err, noBinding(string(id)), "unbind")
	})
}

// DeleteBindingDrain forgets the log drain that a binding made; where it made none
// that is no error.
func (s *Store) DeleteBindingDrain(ctx context.Context, id service.BindingID) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		if _, err := t.NewDelete().Model((*drainRow)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("delete the drain of a binding: %w", err)
		}
		return nil
	})
}

func noService(name string) *fault.Error {
	return fault.New(fault.NotFound, "service", "there is no service %q", name).WithTry("naru services")
}

func noBinding(id string) *fault.Error {
	return fault.New(fault.NotFound, "binding", "there is no binding %q", id).WithTry("naru services")
}
