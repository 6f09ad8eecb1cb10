package storetest_test

import (
	"naru/internal/auth"
	"naru/internal/auth/vault"
	"naru/internal/operate"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/store"
)

// What others ask for is there.
var (
	_ auth.Store      = (*store.Store)(nil)
	_ vault.Store     = (*store.Store)(nil)
	_ operation.Store = (*store.Store)(nil)
	_ rollout.Store   = (*store.Store)(nil)
	_ deliver.Store   = (*store.Store)(nil)
	_ operate.Store   = (*store.Store)(nil)
	_ operate.Routes  = (*store.Store)(nil)
)
