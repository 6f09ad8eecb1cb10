package store

import (
	"context"
	"fmt"
	"io"
)

// Backup writes a consistent copy of the database to w while the store is in
// use: everything committed before the call is in it. The copy is a database
// file of its own; putting it in place of the other, while naru is stopped, is
// the restore. PostgreSQL has its own tools: there it is an Unsupported fault
// that names them.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := s.engine.backup(ctx, w); err != nil {
		return s.explain(fmt.Errorf("back up store: %w", err))
	}
	return nil
}
