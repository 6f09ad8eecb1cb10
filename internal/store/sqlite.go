package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"naru/internal/disk"
	"naru/internal/fault"
)

// sqliteEngine is SQLite in a file: one connection writes, others read beside it
// (WAL), and a commit is on disk before it returns (synchronous FULL).
type sqliteEngine struct {
	path    string
	ballast *ballast
}

func openSQLite(ctx context.Context, path string, opts Options) (engine, *bun.DB, *bun.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, nil, err
	}
	// SQLite would make the file as the umask says; its -wal and -shm take over
	// the mode of the file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := f.Close(); err != nil {
		return nil, nil, nil, err
	}
	e := sqliteEngine{path, newBallast(path+".reserve", opts.Log)}
	writer, err := e.connect(opts, "immediate", 1)
	if err != nil {
		return nil, nil, nil, err
	}
	reader, err := e.connect(opts, "deferred", opts.Readers)
	if err != nil {
		return nil, nil, nil, errors.Join(err, writer.Close())
	}
	if err := e.check(ctx, writer); err != nil {
		return nil, nil, nil, errors.Join(err, writer.Close(), reader.Close())
	}
	return e, writer, reader, nil
}

// connect makes a pool whose every connection has the pragmas, because they
// stand in the DSN.
func (e sqliteEngine) connect(opts Options, txlock string, most int) (*bun.DB, error) {
	q := url.Values{}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", opts.Busy.Milliseconds()))
	q.Add("_pragma", "journal_mode(WAL)")
	q.Add("_pragma", "synchronous(FULL)")
	q.Add("_pragma", "foreign_keys(1)")
	if txlock != "immediate" {
		q.Add("_pragma", "query_only(1)")
	}
	q.Set("_txlock", txlock)
	q.Set("_dqs", "false")
	dsn := (&url.URL{Scheme: "file", Path: e.path, RawQuery: q.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return bun.NewDB(db, sqlitedialect.New()), nil
}

// check refuses a file that is no database, before anything is written to it.
func (e sqliteEngine) check(ctx context.Context, db *bun.DB) error {
	var mode string
	if err := db.NewRaw("PRAGMA journal_mode").Scan(ctx, &mode); err != nil {
		if f := e.explain(err); f != nil {
			return f.WithCause(err)
		}
		return err
	}
	if mode != "wal" {
		return fault.New(fault.Unsupported, e.path, "the file system of the database allows no shared memory (journal mode %s)", mode).
			WithTry("put the data directory on a local file system")
	}
	return nil
}

func (sqliteEngine) name() string          { return "sqlite" }
func (sqliteEngine) ddl(sql string) string { return sql }

// lock does nothing: the transaction began with BEGIN IMMEDIATE.
func (sqliteEngine) lock(context.Context, bun.Tx) error { return nil }

// snapshot needs no option: the first reading fixes what a transaction sees.
func (sqliteEngine) snapshot() *sql.TxOptions { return nil }

func (e sqliteEngine) explain(err error) *fault.Error {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return nil
	}
	switch code := se.Code(); {
	case code == sqlite3.SQLITE_CONSTRAINT_UNIQUE, code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fault.New(fault.Conflict, "", "it exists already")
	case code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fault.New(fault.Conflict, "", "what it belongs to is gone, or something still belongs to it")
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_IOERR: // a full disk may also show when a file is mapped or synced
		if room, err := disk.Of(filepath.Dir(e.path)); err == nil && room.Free < tight {
			return disk.Error(filepath.Dir(e.path))
		}
	case sqlite3.SQLITE_FULL:
		return disk.Error(filepath.Dir(e.path))
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fault.New(fault.Unavailable, "", "another process holds the database %s", e.path).
			WithTry("naru doctor")
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fault.New(fault.Unavailable, e.path, "the database file is damaged").
			WithTry("naru restore FILE, from the last backup")
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fault.New(fault.Unavailable, e.path, "the database file cannot be written").
			WithTry("check owner, mode and mount of %s", filepath.Dir(e.path))
	}
	return nil
}

// backup copies into a file beside the database and then to w, so that a slow
// reader of w holds up nobody.
func (e sqliteEngine) backup(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(e.path), ".backup-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// A connection of its own: VACUUM INTO writes, so a reader refuses it, and the
	// writer must not wait for it.
	db, err := e.connect(Options{}.filled(), "immediate", 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	path := filepath.Join(dir, "store.db")
	if _, err := db.NewRaw("VACUUM INTO ?", path).Exec(ctx); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(w, f)
	return err
}
