package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/auth/vault"
	"naru/internal/event"
	"naru/internal/fault"
)

type certificateRow struct {
	bun.BaseModel `bun:"table:certificates"`

	Host    string      `bun:"host,pk"`
	Space   app.SpaceID `bun:"space_id"`
	Chain   string      `bun:"chain"`
	Sealed  string      `bun:"sealed"`
	By      string      `bun:"set_by"`
	Created stamp       `bun:"created"`
	Updated stamp       `bun:"updated"`
}

func (r certificateRow) certificate() vault.Certificate {
	return vault.Certificate{
		Host: r.Host, Space: r.Space, Chain: []byte(r.Chain), By: r.By, Created: r.Created.Time, Updated: r.Updated.Time,
	}
}

func (r certificateRow) sealed() vault.Sealed { return r.certificate().SealedKey(r.Sealed) }

// SetCertificate keeps a certificate and its sealed key, in place of the one for
// the same host; Created and Updated are filled in. A host that has a certificate
// or routes of another space is a Conflict that does not tell whose.
func (s *Store) SetCertificate(ctx context.Context, c vault.Certificate, sealed string, evs ...event.Event) (vault.Certificate, error) {
	err := s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		if _, err := s.Space(ctx, c.Space); err != nil {
			return err
		}
		t.about(c.Space, "")
		// Who has routes at the host has the host, whoever was first with a certificate.
		taken, err := t.NewSelect().Model((*certificateRow)(nil)).Where("host = ? AND space_id <> ?", c.Host, c.Space).
			Where("NOT EXISTS (SELECT 1 FROM routes r WHERE r.host = ? AND r.space_id = ?)", c.Host, c.Space).Exists(ctx)
		if err != nil {
			return fmt.Errorf("look for certificate of %s: %w", c.Host, err)
		}
		if !taken {
			q := t.NewSelect().Model((*routeRow)(nil)).Where("space_id <> ?", c.Space)
			if parent, wildcard := strings.CutPrefix(c.Host, "*"); wildcard {
				q.Where("host LIKE ?", "%"+parent) // a host holds no wildcard of LIKE but _, which only refuses more
			} else {
				q.Where("host = ?", c.Host)
			}
			if taken, err = q.Exists(ctx); err != nil {
				return fmt.Errorf("look for routes of %s: %w", c.Host, err)
			}
		}
		if taken {
			return fault.New(fault.Conflict, "host", "%s belongs to another space", c.Host).WithTry("add the certificate where the routes of the host are: naru routes")
		}
		row := certificateRow{
			Host: c.Host, Space: c.Space, Chain: string(c.Chain), Sealed: sealed, By: c.By, Created: stamp{t.Now}, Updated: stamp{t.Now},
		}
		_, err = t.NewInsert().Model(&row).On("CONFLICT (host) DO UPDATE").
			Set("space_id = EXCLUDED.space_id, created = EXCLUDED.created").Set("chain = EXCLUDED.chain, sealed = EXCLUDED.sealed, set_by = EXCLUDED.set_by, updated = EXCLUDED.updated").Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep certificate of %s: %w", c.Host, err)
		}
		c, err = s.Certificate(ctx, c.Space, c.Host)
		return err
	})
	return c, err
}

// Certificate returns a certificate of a space by host.
func (s *Store) Certificate(ctx context.Context, space app.SpaceID, host string) (vault.Certificate, error) {
	var row certificateRow
	err := s.read(ctx).NewSelect().Model(&row).ExcludeColumn("sealed").Where("space_id = ? AND host = ?", space, host).Scan(ctx)
	return row.certificate(), found(err, noCertificate(host), "find certificate")
}

// Certificates lists the certificates of a space by host.
func (s *Store) Certificates(ctx context.Context, space app.SpaceID) ([]vault.Certificate, error) {
	var rows []certificateRow
	err := s.read(ctx).NewSelect().Model(&rows).ExcludeColumn("sealed").Where("space_id = ?", space).Order("host").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list certificates: %w", err)
	}
	return each(rows, certificateRow.certificate), nil
}

// ServedCertificates lists the certificates of all spaces by host, and their
// sealed keys. One of a host that has routes of another space meanwhile is left
// out: its owner is not the host's.
func (s *Store) ServedCertificates(ctx context.Context) (all []vault.Certificate, sealed []string, err error) {
	var rows []certificateRow
	err = s.read(ctx).NewSelect().Model(&rows).
		Where("NOT EXISTS (SELECT 1 FROM routes r WHERE r.host = certificate_row.host AND r.space_id <> certificate_row.space_id)").
		Order("host").Scan(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list certificates: %w", err)
	}
	return each(rows, certificateRow.certificate), each(rows, func(r certificateRow) string { return r.Sealed }), nil
}

// DeleteCertificate forgets a certificate of a space.
func (s *Store) DeleteCertificate(ctx context.Context, space app.SpaceID, host string, evs ...event.Event) error {
	return s.write(ctx, evs, func(ctx context.Context, t *tx) error {
		t.about(space, "")
		res, err := t.NewDelete().Model((*certificateRow)(nil)).Where("space_id = ? AND host = ?", space, host).Exec(ctx)
		return changed(res, err, noCertificate(host), "delete certificate")
	})
}

func noCertificate(host string) *fault.Error {
	return fault.New(fault.NotFound, "host", "this space has no certificate for %q", host).WithTry("naru certificates")
}
