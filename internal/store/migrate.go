package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"naru/internal/fault"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered step of the schema.
type migration struct {
	number int
	name   string // "0001_places.sql"
	sql    string
	sum    string // SHA-256 of the file, hex
	serves int    // the oldest schema number a binary must know to work on what this makes
}

type migrationRow struct {
	bun.BaseModel `bun:"table:migrations"`

	Number  int    `bun:"number,pk"`
	Name    string `bun:"name"`
	Sum     string `bun:"sum"`
	Serves  int    `bun:"serves"`
	Applied stamp  `bun:"applied"`
}

// Schema returns the number of the newest migration of this binary.
func Schema() int {
	all, err := readMigrations(migrationFiles)
	if err != nil {
		panic(err) // the files are part of the binary
	}
	return all[len(all)-1].number
}

// readMigrations returns the migrations in order; they are numbered from 1
// without a gap.
func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no migrations: %w", err)
	}
	var all []migration
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		m := migration{name: path.Base(name), sql: string(data)}
		digits, _, _ := strings.Cut(m.name, "_")
		if m.number, err = strconv.Atoi(digits); err != nil {
			return nil, fmt.Errorf("migration %s does not start with its number", m.name)
		}
		sum := sha256.Sum256(data)
		m.sum = hex.EncodeToString(sum[:])
		if m.serves, err = serves(m.sql); err != nil {
			return nil, fmt.Errorf("migration %s: %w", m.name, err)
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b migration) int { return cmp.Compare(a.number, b.number) })
	for i, m := range all {
		if m.number != i+1 {
			return nil, fmt.Errorf("migration %s should have the number %d", m.name, i+1)
		}
	}
	return all, nil
}

// serves reads the line "-- serves: N", 0 where there is none.
func serves(sql string) (int, error) {
	for line := range strings.Lines(sql) {
		if text, ok := strings.CutPrefix(line, "-- serves:"); ok {
			return strconv.Atoi(strings.TrimSpace(text))
		}
	}
	return 0, nil
}

func (s *Store) migrate(ctx context.Context) error {
	all, err := readMigrations(migrationFiles)
	if err != nil {
		return err
	}
	return s.migrateTo(ctx, all)
}

// migrateTo applies what is missing, each migration in a transaction of its own:
// killed in between, the next start goes on.
func (s *Store) migrateTo(ctx context.Context, all []migration) error {
	err := s.schemaChange(ctx, func(t *tx) error {
		_, err := t.ExecContext(ctx, s.engine.ddl(`CREATE TABLE IF NOT EXISTS migrations (
			number  BIGINT NOT NULL PRIMARY KEY,
			name    TEXT   NOT NULL,
			sum     TEXT   NOT NULL,
			serves  BIGINT NOT NULL,
			applied BIGINT NOT NULL
		)`))
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	for _, m := range all {
		err := s.schemaChange(ctx, func(t *tx) error {
			// Read again each time: another process may migrate the same database.
			var have []migrationRow
			if err := t.NewSelect().Model(&have).Order("number").Scan(ctx); err != nil {
				return err
			}
			if err := fits(all, have); err != nil || m.number <= len(have) {
				return err
			}
			if _, err := t.ExecContext(ctx, s.engine.ddl(m.sql)); err != nil {
				return err
			}
			_, err := t.NewInsert().Model(&migrationRow{
				Number: m.number, Name: m.name, Sum: m.sum, Serves: m.serves, Applied: stamp{t.Now},
			}).Exec(ctx)
			return err
		})
		if err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return nil
}

// schemaChange runs do in a transaction that is no commit of the store's users:
// the hook does not hear of it.
func (s *Store) schemaChange(ctx context.Context, do func(t *tx) error) error {
	return s.writer.RunInTx(ctx, nil, func(ctx context.Context, raw bun.Tx) error {
		if err := s.engine.lock(ctx, raw); err != nil {
			return err
		}
		return do(&tx{Tx: raw, Now: s.opts.Clock().UTC()})
	})
}

// fits compares what a database went through with what this binary knows. A
// newer schema is fine as long as none of its migrations says that it takes a
// newer binary: the way back after an upgrade.
func fits(known []migration, have []migrationRow) error {
	newest := len(known)
	for _, row := range have {
		if row.Serves > newest {
			return fault.New(fault.Unsupported, "store",
				"the database has schema %d, which needs a naru that knows schema %d; this one knows %d",
				len(have), row.Serves, newest).
				WithTry("start the naru that wrote the database, or a newer one; or restore a backup of this version")
		}
		if row.Number <= newest && known[row.Number-1].sum != row.Sum {
			return fault.New(fault.Unsupported, "store",
				"migration %s was applied with another content than this naru has", row.Name).
				WithTry("start the naru that wrote the database")
		}
	}
	return nil
}
