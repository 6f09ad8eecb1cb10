package store

import (
	"context"
	"database/sql"
	"io"

	"github.com/uptrace/bun"

	"naru/internal/fault"
)

// engine is what differs between databases.
type engine interface {
	name() string

	// ddl turns the SQL of a migration, which both engines share, into the
	// engine's own.
	ddl(sql string) string

	// lock makes the transaction the only one that writes, until it ends.
	lock(ctx context.Context, tx bun.Tx) error

	// snapshot are the options of a transaction that only reads, and sees one
	// moment.
	snapshot() *sql.TxOptions

	// explain returns the fault inside an error of the driver that people can do
	// something about, nil for others.
	explain(err error) *fault.Error

	// makeRoom is called before every write, and refill after every one that went
	// well: what is kept of the disk for the store is given back and taken again.
	makeRoom()
	refill()

	// spare refuses a write that may wait while the disk is full.
	spare(ctx context.Context) error

	// backup writes a consistent copy while the store is in use.
	backup(ctx context.Context, w io.Writer) error
}

// explain gives an error of the driver the words people need. A fault that is
// already inside stays as it is.
func (s *Store) explain(err error) error {
	if fault.Of(err).Kind != fault.Internal {
		return err
	}
	if f := s.engine.explain(err); f != nil {
		return f.WithCause(err)
	}
	return err
}
