package apitest

import (
	"strings"
	"testing"

	"naru/internal/auth/vault"
	"naru/internal/observe/drain"
	"naru/internal/pipeline/provide"
	"naru/internal/secret"
)

// ProvidedStore is what services need of the store.
type ProvidedStore interface {
	provide.Store
	vault.Store
}

// Provided keeps services, of which a space may have a hundred.
func Provided(t testing.TB, st ProvidedStore, drains *drain.Desk) *provide.Desk {
	t.Helper()
	ring, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return provide.New(st, vault.New(st, func() *secret.Keyring { return ring }, nil), drains, 100)
}
