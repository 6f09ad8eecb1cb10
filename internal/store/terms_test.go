package store

import (
	"path/filepath"
	"testing"

	"naru/internal/route"
)

// The tables of routes are made anew by migration 9, with what is in them and in
// the table that would be emptied with them.
func TestRoutesOutliveTheirTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	opts := Options{}.filled()
	st := &Store{opts: opts, turn: make(chan struct{}, 1)}
	st.turn <- struct{}{}
	var err error
	st.engine, st.writer, st.reader, err = openSQLite(t.Context(), path, opts)
	must(t, err)
	must(t, st.migrateTo(t.Context(), mustMigrations(t)[:8]))
	for _, sql := range []string{
		"INSERT INTO orgs (id, name, created) VALUES ('o', 'default', 1)",
		"INSERT INTO spaces (id, org_id, name, allow_root, created) VALUES ('s', 'o', 'dev', FALSE, 1)",
		"INSERT INTO apps (id, space_id, name, slug, state, draft, image_id, scale, created, updated) VALUES ('a', 's', 'shop', 'shop', 'started', '{}', '', '{}', 1, 1)",
		"INSERT INTO routes (id, space_id, host, path, created, updated) VALUES ('r', 's', 'shop.example', '/api', 1, 2)",
		"INSERT INTO destinations (id, route_id, app_id, process, port, weight, position) VALUES ('d', 'r', 'a', 'web', 9000, 30, 0)",
	} {
		_, err := st.writer.NewRaw(sql).Exec(t.Context())
		must(t, err)
	}
	must(t, st.Close())
	again := mustOpen(t, path)
	defer func() { must(t, again.Close()) }()
	r, err := again.RouteNamed(t.Context(), "shop.example", "/api")
	must(t, err)
	if len(r.Destinations) != 1 || r.Destinations[0].Port != 9000 || r.Destinations[0].App != "a" || r.When != nil || r.Terms != (route.Terms{}) {
		t.Errorf("the route is %+v", r)
	}
	// The destinations still go with their app and their route.
	must(t, again.DeleteApp(t.Context(), "a"))
	if n, err := again.reader.NewSelect().Model((*destinationRow)(nil)).Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d destinations are left, %v", n, err)
	}
}
