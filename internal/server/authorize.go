package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/door/oci"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/store"
)

// platformUser is whom naru itself is to its registry: builds push and the
// driver pulls as it. Its password lives as long as the process.
const platformUser = "naru-platform"

// registryUsers tells the registry who people are and what is theirs.
type registryUsers struct {
	auth     *auth.Service
	store    *store.Store
	password string
}

func newRegistryUsers(a *auth.Service, st *store.Store) (*registryUsers, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("make password of the platform: %w", err)
	}
	return &registryUsers{a, st, base64.RawURLEncoding.EncodeToString(raw)}, nil
}

// credentials open the registry for the platform itself.
func (u *registryUsers) credentials(context.Context) (run.Credentials, error) {
	return run.Credentials{User: platformUser, Password: secret.New(u.password)}, nil
}

// Authenticate checks a user's password or API token.
func (u *registryUsers) Authenticate(ctx context.Context, user, password string) (oci.Identity, error) {
	if user == platformUser && subtle.ConstantTimeCompare([]byte(password), []byte(u.password)) == 1 {
		return oci.Identity{Subject: platformUser, Name: platformUser}, nil
	}
	who, err := u.auth.Authenticate(ctx, user, secret.New(password))
	return oci.Identity{Subject: string(who.UserID), Name: who.Name}, err
}

// Allowed reports whether somebody may do something to a repository: who may see
// a space's apps may pull from it, who may push its apps may push to it.
func (u *registryUsers) Allowed(ctx context.Context, id oci.Identity, repository, action string) (bool, error) {
	if id.Subject == platformUser {
		return true, nil
	}
	who, err := u.identity(ctx, auth.UserID(id.Subject))
	if err != nil || who.Admin {
		return who.Admin, err
	}
	space, ok, err := u.spaceOf(ctx, repository)
	if err != nil || !ok {
		return false, err
	}
	need := auth.ImageRead
	if action != oci.Pull {
		need = auth.ImageWrite
	}
	return auth.Can(who, need, space.Org, space.ID), nil
}

// identity is what a user may do now: the token it came with may be older than
// the last change of the user's roles.
func (u *registryUsers) identity(ctx context.Context, id auth.UserID) (auth.Identity, error) {
	user, err := u.store.User(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && user.Disabled {
		return auth.Identity{}, nil
	}
	if err != nil {
		return auth.Identity{}, err
	}
	grants, err := u.store.Grants(ctx, id)
	admin := slices.ContainsFunc(grants, func(g auth.Grant) bool { return g.Role == auth.Admin })
	return auth.Identity{UserID: id, Name: user.Name, Origin: user.Origin, Admin: admin, Grants: grants}, err
}

// spaceOf finds the space of a repository by the form its name has there.
func (u *registryUsers) spaceOf(ctx context.Context, repository string) (app.Space, bool, error) {
	spaces, err := u.store.Spaces(ctx, "")
	if err != nil {
		return app.Space{}, false, err
	}
	prefix := repository[:strings.LastIndex(repository, "/")+1]
	for _, s := range spaces {
		name, err := u.store.SpaceName(ctx, s.ID)
		if err != nil {
			return app.Space{}, false, err
		}
		if full, err := deliver.Repository(name, ""); err == nil && full == prefix { // ends in a slash, like prefix
			return s, true, nil
		}
	}
	return app.Space{}, false, nil
}
