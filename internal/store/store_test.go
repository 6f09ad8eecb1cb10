package store_test

import (
	"testing"

	"naru/internal/store"
	"naru/internal/store/storetest"
)

func TestSQLite(t *testing.T) { storetest.Suite(t, storetest.Open) }

func TestPostgres(t *testing.T) {
	pg := storetest.StartPostgres(t)
	storetest.Suite(t, func(t testing.TB, opts store.Options) *store.Store {
		return storetest.OpenAt(t, pg.Database(t), opts)
	})
}
