package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"naru/internal/fault"
)

func TestNewerSchemaIsOpenedOnlyWhenItSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	known := mustMigrations(t)
	newer := len(known) + 1
	for _, step := range []struct {
		name   string
		serves int
		kind   fault.Kind
	}{
		{"additive: the binary before it can go back", 0, ""},
		{"made for this one too", newer - 1, ""},
		{"not for this one", newer, fault.Unsupported},
	} {
		t.Run(step.name, func(t *testing.T) {
			must(t, os.RemoveAll(path))
			st := mustOpen(t, path)
			must(t, st.migrateTo(t.Context(), append(slices.Clone(known), migration{
				number: newer, name: "9999_future.sql", sql: "CREATE TABLE future (id TEXT NOT NULL)", serves: step.serves,
			})))
			must(t, st.Close())
			again, err := Open(t.Context(), path, Options{})
			if step.kind == "" {
				must(t, err)
				must(t, again.SetSetting(t.Context(), "a", "b"))
				must(t, again.Close())
				return
			}
			f := fault.Of(err)
			if f == nil || f.Kind != step.kind || !strings.Contains(f.Message, fmt.Sprintf("schema %d", newer)) || !strings.Contains(f.Message, fmt.Sprintf("knows %d", newer-1)) || f.Try == "" {
				t.Errorf("err = %v, want one that names both versions and the way out", err)
			}
		})
	}
}

func TestMigrationThatFailsLeavesNothingAndGoesOn(t *testing.T) {
	st := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	defer func() { must(t, st.Close()) }()
	known := mustMigrations(t)
	next := migration{number: len(known) + 1, name: "next.sql", sql: "CREATE TABLE half (id TEXT NOT NULL); CREATE TABLE apps (id TEXT)"}
	if err := st.migrateTo(t.Context(), append(slices.Clone(known), next)); err == nil || !strings.Contains(err.Error(), "next.sql") {
		t.Fatalf("err = %v, want one that names the migration", err)
	}
	next.sql = "CREATE TABLE half (id TEXT NOT NULL)"
	must(t, st.migrateTo(t.Context(), append(slices.Clone(known), next)))
	must(t, st.migrateTo(t.Context(), append(slices.Clone(known), next)))
}

func TestChangedMigrationIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	st := mustOpen(t, path)
	_, err := st.writer.NewRaw("UPDATE migrations SET sum = 'x' WHERE number = 2").Exec(t.Context())
	must(t, err)
	must(t, st.Close())
	_, err = Open(t.Context(), path, Options{})
	if f := fault.Of(err); f == nil || f.Kind != fault.Unsupported || !strings.Contains(f.Message, "0002_people.sql") {
		t.Errorf("err = %v", err)
	}
}

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	for name, files := range map[string][]string{
		"gap":      {"0001_a.sql", "0003_b.sql"},
		"twin":     {"0001_a.sql", "0001_b.sql"},
		"nameless": {"first.sql"},
	} {
		fsys := fstest.MapFS{}
		for _, f := range files {
			fsys["migrations/"+f] = &fstest.MapFile{Data: []byte("SELECT 1")}
		}
		if _, err := readMigrations(fsys); err == nil {
			t.Errorf("%s: %v was taken", name, files)
		}
	}
	all, err := readMigrations(fstest.MapFS{"migrations/0001_a.sql": {Data: []byte("-- words\n-- serves: 1\nSELECT 1")}})
	if err != nil || all[0].serves != 1 {
		t.Errorf("migrations = %+v, %v", all, err)
	}
}

// Databases of released versions are kept in testdata (a Backup of a store that
// has the app "shop" in default/dev); each must still open, with what is in it.
func TestDatabasesOfEarlierVersions(t *testing.T) {
	files, err := filepath.Glob("testdata/schema-*.db")
	must(t, err)
	if len(files) == 0 {
		t.Skip("no version was released yet, so there is no testdata/schema-N.db to open")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		path := filepath.Join(t.TempDir(), filepath.Base(file))
		must(t, os.WriteFile(path, data, 0o600))
		st := mustOpen(t, path)
		space, err := st.SpaceNamed(t.Context(), "default", "dev")
		must(t, err)
		if _, err := st.AppNamed(t.Context(), space.ID, "shop"); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		must(t, st.Close())
	}
}

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder with ? and # and %41", "store.db")
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	st := mustOpen(t, path)
	defer func() { must(t, st.Close()) }()
	for _, pragma := range []struct {
		name           string
		writer, reader int
	}{{"foreign_keys", 1, 1}, {"synchronous", 2, 2}, {"query_only", 0, 1}, {"busy_timeout", 10_000, 10_000}} {
		var got int
		must(t, st.writer.NewRaw("PRAGMA "+pragma.name).Scan(t.Context(), &got))
		if got != pragma.writer {
			t.Errorf("writer: %s = %d, want %d", pragma.name, got, pragma.writer)
		}
		for range 4 { // held open, so each is a connection of its own
			conn, err := st.reader.Conn(t.Context())
			must(t, err)
			defer func() { must(t, conn.Close()) }()
			must(t, conn.QueryRowContext(t.Context(), "PRAGMA "+pragma.name).Scan(&got))
			if got != pragma.reader {
				t.Errorf("reader: %s = %d, want %d", pragma.name, got, pragma.reader)
			}
			if pragma.name != "query_only" {
				break
			}
		}
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + end)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode of store.db%s = %v", end, info.Mode().Perm())
		}
	}
}

func TestFilesThatAreNoDatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600))
	_, err := Open(t.Context(), path, Options{})
	if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || f.Try == "" || f.Field != path {
		t.Errorf("err = %v, want one that names the file and the way out", err)
	}
	_, err = Open(t.Context(), "postgres://u:hunter2@127.0.0.1:1/x?sslmode=banana", Options{})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %v, want one without the password", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(gone, filepath.Join(dir, "other.db"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want canceled", err)
	}
}

func mustMigrations(t *testing.T) []migration {
	t.Helper()
	all, err := readMigrations(migrationFiles)
	must(t, err)
	return all
}

func mustOpen(t *testing.T, path string) *Store {
	t.Helper()
	st, err := Open(t.Context(), path, Options{})
	must(t, err)
	return st
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
