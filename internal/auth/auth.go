// Package auth says who is asking, and whether they may: users and their roles,
// passwords, sessions, tokens. It speaks no HTTP.
package auth

import (
	"time"
)

// UserID identifies a user; a UUID.
type UserID string

// Origin is where users that naru keeps itself come from; others are named
// after the identity provider that vouches for them.
const Origin = "naru"

// User is a person or a machine with an account. Name and Origin together are
// unique.
type User struct {
	ID       UserID
	Name     string
	Origin   string
	Password string // argon2id in PHC form; "" where nobody can log in with a password
	Disabled bool   // keeps its history and is let in no more
	Created  time.Time
	Updated  time.Time
}

// RefreshToken is one link of a session: using it makes the next one. The token
// itself is never kept, only its hash.
type RefreshToken struct {
	Hash    string
	Session string // all links of one login have the same
	User    UserID
	Created time.Time
	Expires time.Time
	Used    time.Time // zero until it was exchanged for the next one
}

// LoginCode is good for one login, for a short time. Only its hash is kept.
type LoginCode struct {
	Hash    string
	User    UserID
	Created time.Time
	Expires time.Time
}

// APIToken is a named token for programs: it lives long, can be listed and
// revoked, and has the rights of its user. Only its hash is kept.
type APIToken struct {
	ID       string
	Hash     string
	User     UserID
	Name     string
	Created  time.Time
	Expires  time.Time // zero: never
	LastUsed time.Time // to within an hour; zero: never
}
