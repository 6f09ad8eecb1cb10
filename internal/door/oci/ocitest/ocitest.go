// Package ocitest runs naru's registry in a test, with users kept in memory.
package ocitest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"naru/internal/door/oci"
	"naru/internal/fault"
)

// User is somebody who may log in.
type User struct {
	Password string
	Can      map[string][]string // actions by the start of a repository's name; "" is every repository
}

// Users is an Authorizer over a fixed list, by user name.
type Users map[string]User

var _ oci.Authorizer = Users{}

// Authenticate compares the password.
func (u Users) Authenticate(_ context.Context, user, password string) (oci.Identity, error) {
	known, ok := u[user]
	if !ok || subtle.ConstantTimeCompare([]byte(known.Password), []byte(password)) != 1 {
		return oci.Identity{}, fault.New(fault.Unauthenticated, "", "user or password is wrong")
	}
	return oci.Identity{Subject: "id-of-" + user, Name: user}, nil
}

// Allowed looks for a start of the repository's name with the action.
func (u Users) Allowed(_ context.Context, id oci.Identity, repository, action string) (bool, error) {
	for start, actions := range u[id.Name].Can {
		if strings.HasPrefix(repository, start) && slices.Contains(actions, action) {
			return true, nil
		}
	}
	return false, nil
}

// All is every action.
var All = []string{oci.Pull, oci.Push, oci.Delete}

// Key makes a key to sign tokens with.
func Key(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Serve runs a registry on loopback until the test ends and returns it and its
// host. Directory and key are made where the configuration has none.
func Serve(t testing.TB, cfg oci.Config, auth oci.Authorizer) (*oci.Registry, string) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Key == nil {
		cfg.Key = Key(t)
	}
	oci.TameLogs(slog.New(slog.DiscardHandler))
	r, err := oci.New(cfg, auth, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return r, strings.TrimPrefix(srv.URL, "http://")
}
