package store

import (
	"context"
	"fmt"

	"naru/internal/route"
)

// HostHolders lists the spaces that have routes at a host, or at a wildcard over
// it, by host and space.
func (s *Store) HostHolders(ctx context.Context, host string) ([]route.Holder, error) {
	var rows []routeRow
	err := s.read(ctx).NewSelect().Model(&rows).Distinct().Column("host", "space_id").
		Where("host IN (?)", in(append(route.Wildcards(host), host))).Order("host", "space_id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for who has %s: %w", host, err)
	}
	return each(rows, func(r routeRow) route.Holder { return route.Holder{Host: r.Host, Space: r.Space} }), nil
}
