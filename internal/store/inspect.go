package store

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/uptrace/bun"

	"naru/internal/fault"
)

// Inspect returns the schema that the database file at path has and the one that
// this program writes, and changes nothing. The error is a fault that names both
// where this program cannot work with it; it wraps fs.ErrNotExist where there is
// no database yet.
func Inspect(ctx context.Context, path string) (have, want int, err error) {
	all, err := readMigrations(migrationFiles)
	if err != nil {
		return 0, 0, err
	}
	want = len(all)
	err = look(ctx, path, func(e sqliteEngine, db *bun.DB) error {
		var rows []migrationRow
		if err := db.NewSelect().Model(&rows).Order("number").Scan(ctx); err != nil {
			return err
		}
		have = len(rows)
		return fits(all, rows)
	})
	return have, want, err
}

// Verify checks the whole database file at path: that it is undamaged, and that
// this program can work with it.
func Verify(ctx context.Context, path string) error {
	err := look(ctx, path, func(e sqliteEngine, db *bun.DB) error {
		var says string
		if err := db.NewRaw("PRAGMA integrity_check(1)").Scan(ctx, &says); err != nil {
			return err
		}
		if says != "ok" {
			return fault.New(fault.Unavailable, path, "the database file is damaged: %s", says)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, _, err = Inspect(ctx, path)
	return err
}

// look opens a database file that exists for reading.
func look(ctx context.Context, path string, do func(sqliteEngine, *bun.DB) error) (err error) {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("look at store: %w", err)
	}
	e := sqliteEngine{path: path}
	db, err := e.connect(Options{}.filled(), "deferred", 1)
	if err != nil {
		return fmt.Errorf("look at store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := do(e, db); err != nil {
		if f := e.explain(err); f != nil && fault.Of(err).Kind == fault.Internal {
			return f.WithCause(err)
		}
		return err
	}
	return nil
}
