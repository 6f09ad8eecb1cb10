package storetest_test

import (
	"naru/internal/operate"
	"naru/internal/pipeline/deliver"
	"naru/internal/store"
)

// What the steps ask for is there.
var (
	_ deliver.Store  = (*store.Store)(nil)
	_ operate.Store  = (*store.Store)(nil)
	_ operate.Routes = (*store.Store)(nil)
)
