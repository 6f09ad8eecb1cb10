package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
)

type maintenanceRow struct {
	bun.BaseModel `bun:"table:maintenance"`

	ID        string       `bun:"id,pk"`
	App       app.ID       `bun:"app_id"`
	From      stamp        `bun:"begins"`
	To        stamp        `bun:"ends"`
	Reason    string       `bun:"reason"`
	Hit       doc[float64] `bun:"hit"`
	By        string       `bun:"announcer"`
	Announced stamp        `bun:"announced"`
	Cancelled stamp        `bun:"cancelled"`
}

func (r maintenanceRow) maintenance() app.Maintenance {
	return app.Maintenance{
		ID: r.ID, App: r.App, From: r.From.Time, To: r.To.Time, Reason: r.Reason, Hit: r.Hit.V,
		By: r.By, Announced: r.Announced.Time, Cancelled: r.Cancelled.Time,
	}
}

// AnnounceMaintenance keeps maintenance of an app; its id and when it was announced
// are filled in, and an event maintenance.announced tells of it.
func (s *Store) AnnounceMaintenance(ctx context.Context, m app.Maintenance) (app.Maintenance, error) {
	err := s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, m.App)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		n, err := t.NewSelect().Model((*maintenanceRow)(nil)).Where("app_id = ? AND cancelled = 0 AND ends > ?", m.App, stamp{t.Now}).Count(ctx)
		if err != nil {
			return fmt.Errorf("count maintenance: %w", err)
		}
		if n >= app.MaxMaintenance {
			return fault.New(fault.TooLarge, "maintenance", "%d times of maintenance are announced already, the most an app may have", n).
				WithTry("naru maintenance cancel %s ID", owner.Name)
		}
		m.ID, m.Announced, m.Reason = id.New(), t.Now, clean(m.Reason)
		row := maintenanceRow{
			ID: m.ID, App: m.App, From: stamp{m.From}, To: stamp{m.To}, Reason: m.Reason, Hit: doc[float64]{m.Hit}, By: clean(m.By), Announced: stamp{t.Now},
		}
		if _, err := t.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("announce maintenance: %w", err)
		}
		m = row.maintenance()
		return t.append(ctx, []event.Event{maintenanceEvent("maintenance.announced", m.By, owner.Name, m)})
	})
	return m, err
}

// Maintenance lists what is announced of an app and ends after a moment, cancelled
// or not, by when it begins.
func (s *Store) Maintenance(ctx context.Context, a app.ID, after time.Time) ([]app.Maintenance, error) {
	var rows []maintenanceRow
	err := s.read(ctx).NewSelect().Model(&rows).Where("app_id = ? AND ends > ?", a, stamp{after}).Order("begins", "id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list maintenance: %w", err)
	}
	return each(rows, maintenanceRow.maintenance), nil
}

// CancelMaintenance calls off maintenance of an app that is not over; what is going
// on ends now. To cancel it twice changes nothing.
func (s *Store) CancelMaintenance(ctx context.Context, a app.ID, id, actor string) (m app.Maintenance, err error) {
	err = s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		owner, err := s.App(ctx, a)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		var row maintenanceRow
		err = t.NewSelect().Model(&row).Where("app_id = ? AND id = ?", a, id).Scan(ctx)
		missing := fault.New(fault.NotFound, "maintenance", "no maintenance %q is announced for %s", id, owner.Name).WithTry("naru maintenance %s", owner.Name)
		if err := found(err, missing, "find maintenance"); err != nil {
			return err
		}
		if m = row.maintenance(); !m.Cancelled.IsZero() {
			return nil
		}
		if !m.To.After(t.Now) {
			return fault.New(fault.Conflict, "maintenance", "that maintenance is over since %s", m.To.Format(time.RFC3339))
		}
		row.Cancelled = stamp{t.Now}
		if _, err := t.NewUpdate().Model(&row).Column("cancelled").WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("cancel maintenance: %w", err)
		}
		m = row.maintenance()
		return t.append(ctx, []event.Event{maintenanceEvent("maintenance.cancelled", actor, owner.Name, m)})
	})
	return m, err
}

func maintenanceEvent(kind event.Kind, actor, subject string, m app.Maintenance) event.Event {
	detail := map[string]any{"id": m.ID, "from": m.From, "to": m.To, "reason": m.Reason}
	if m.Hit > 0 {
		detail["hit"] = m.Hit
	}
	return event.Event{Kind: kind, Actor: actor, Subject: subject, Detail: detail}
}
