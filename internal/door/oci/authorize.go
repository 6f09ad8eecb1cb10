package oci

import (
	"context"
	"regexp"
	"strings"
)

// What may be done to a repository.
const (
	Pull   = "pull"
	Push   = "push"
	Delete = "delete"
)

// Identity is who asks, as the Authorizer knows them. It travels in tokens and
// comes back as it was.
type Identity struct {
	Subject string   `json:"sub"`              // id of the user
	Name    string   `json:"name"`             // for logs and messages
	Scopes  []string `json:"scopes,omitempty"` // what an API token was narrowed to
}

// Authorizer knows people and what they may do. Faults of kind Unauthenticated,
// Denied and Unavailable are told to the client; other errors are logged.
type Authorizer interface {
	// Authenticate checks a user's password or API token.
	Authenticate(ctx context.Context, user, password string) (Identity, error)
	// Allowed reports whether the identity may do an action (Pull, Push, Delete)
	// to a repository.
	Allowed(ctx context.Context, id Identity, repository, action string) (bool, error)
}

// Foundations is the first part of the names of base images. No organisation may
// have this name.
const Foundations = "foundations"

var (
	appRepository = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*/[a-z0-9]+([._-]+[a-z0-9]+)*/[a-z0-9]+([._-]+[a-z0-9]+)*$`)
	foundation    = regexp.MustCompile(`^foundations/[a-z0-9]+([._-]+[a-z0-9]+)*$`)
)

// wellNamed reports whether a repository can exist here: ORG/SPACE/APP or
// foundations/NAME.
func wellNamed(repository string) bool {
	if strings.HasPrefix(repository, Foundations+"/") {
		return foundation.MatchString(repository)
	}
	return appRepository.MatchString(repository)
}

// allowed is the door's one rule: names have a form, and everybody known may
// pull foundations. The rest is the Authorizer's.
func (r *Registry) allowed(ctx context.Context, id Identity, repository, action string) (bool, error) {
	switch {
	case !wellNamed(repository):
		return false, nil
	case action == Pull && foundation.MatchString(repository):
		return true, nil
	case action == Pull || action == Push || action == Delete:
		return r.auth.Allowed(ctx, id, repository, action)
	}
	return false, nil
}
