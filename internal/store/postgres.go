package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"naru/internal/fault"
)

// writerLock is the advisory lock that makes writers wait for each other, in all
// processes that use one database: "naru" in ASCII.
const writerLock = 0x6e617275

// postgresEngine is a PostgreSQL server.
type postgresEngine struct{}

func openPostgres(ctx context.Context, url string, opts Options) (engine, *bun.DB, *bun.DB, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The cause repeats the URL, and with it the password.
		return nil, nil, nil, fault.New(fault.Invalid, "store", "the PostgreSQL URL cannot be read").
			WithTry("write postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	config.RuntimeParams["application_name"] = "naru"
	// What a commit promises must not depend on the server's defaults.
	config.RuntimeParams["synchronous_commit"] = "on"
	config.RuntimeParams["timezone"] = "UTC"
	raw := stdlib.OpenDB(*config)
	raw.SetMaxOpenConns(opts.Readers + 1)
	raw.SetMaxIdleConns(opts.Readers + 1)
	e := postgresEngine{}
	if err := raw.PingContext(ctx); err != nil {
		if f := e.explain(err); f != nil {
			err = f.WithCause(err)
		}
		return nil, nil, nil, errors.Join(err, raw.Close())
	}
	db := bun.NewDB(raw, pgdialect.New())
	return e, db, db, nil
}

func (postgresEngine) name() string { return "postgres" }

// ddl makes text compare by bytes, as in SQLite, whatever locale the database
// was made with.
func (postgresEngine) ddl(sql string) string {
	return strings.ReplaceAll(sql, " TEXT ", ` TEXT COLLATE "C" `)
}

func (postgresEngine) lock(ctx context.Context, tx bun.Tx) error {
	_, err := tx.NewRaw("SELECT pg_advisory_xact_lock(?)", writerLock).Exec(ctx)
	return err
}

func (postgresEngine) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (postgresEngine) explain(err error) *fault.Error {
	var pe *pgconn.PgError
	var ce *pgconn.ConnectError
	switch {
	case errors.As(err, &pe):
	case errors.As(err, &ce):
		return fault.New(fault.Unavailable, "", "PostgreSQL does not answer").
			WithTry("check that the server runs and that naru may log in to it")
	default:
		return nil
	}
	switch {
	case pe.Code == "23505":
		return fault.New(fault.Conflict, "", "it exists already")
	case pe.Code == "23503":
		return fault.New(fault.Conflict, "", "what it belongs to is gone, or something still belongs to it")
	case pe.Code == "53100":
		return fault.New(fault.Unavailable, "", "the disk of PostgreSQL is full")
	case strings.HasPrefix(pe.Code, "08"), strings.HasPrefix(pe.Code, "57P"), pe.Code == "53300":
		return fault.New(fault.Unavailable, "", "PostgreSQL does not answer: %s", pe.Message)
	case strings.HasPrefix(pe.Code, "28"), pe.Code == "3D000", pe.Code == "42501":
		return fault.New(fault.Unavailable, "store", "PostgreSQL refuses naru: %s", pe.Message).
			WithTry("create the role and the database, and grant the role all rights on it")
	}
	return nil
}

// The database's disk is the database's own business.
func (postgresEngine) makeRoom()                   {}
func (postgresEngine) refill()                     {}
func (postgresEngine) spare(context.Context) error { return nil }

func (postgresEngine) backup(context.Context, io.Writer) error {
	return fault.New(fault.Unsupported, "", "naru does not copy a PostgreSQL database").
		WithTry("pg_dump --format=custom DATABASE")
}
