package metrics

import "context"

// OpenNow opens a store without Run, for measurements.
func (s *Store) OpenNow(ctx context.Context) error {
	db, _, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.db, s.epoch = db, 1
	s.limits.begin()
	return nil
}

// CompactNow makes blocks of what is old enough.
func (s *Store) CompactNow(ctx context.Context) error { return s.db.Compact(ctx) }

// CloseNow closes a store that OpenNow opened.
func (s *Store) CloseNow() { s.close() }
