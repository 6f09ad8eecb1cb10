package route

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/crypto/bcrypt"

	"naru/internal/fault"
)

// Bounds of passwords of a route.
const (
	MinPassword = 8  // bytes
	MaxPassword = 72 // bytes: bcrypt reads no more
	// MaxNewPasswords of one change; each takes tens of milliseconds.
	MaxNewPasswords = 20
)

// Hidden stands in place of a password that is kept: it is what is shown, and
// what a change says that leaves a user's password alone.
const Hidden = "***"

// Shown returns the terms as they may be shown: who comes in is told, how is not.
func (t Terms) Shown() Terms {
	if t.Policy == nil || t.Policy.Auth == nil {
		return t
	}
	p, a := *t.Policy, *t.Policy.Auth
	a.Users = make(map[string]string, len(t.Policy.Auth.Users))
	for name := range t.Policy.Auth.Users {
		a.Users[name] = Hidden
	}
	p.Auth = &a
	t.Policy = &p
	return t
}

// SetsPasswords reports that the change brings passwords along.
func (c Change) SetsPasswords() bool {
	for _, value := range c.users() {
		if value != nil && value != Hidden {
			return true
		}
	}
	return false
}

// users are what a change says about them.
func (c Change) users() map[string]any { return section(c.patch, "policy", "auth", "users") }

// hashed puts hashes in the place of passwords.
func hashed(users map[string]any) error {
	fresh := 0
	for _, name := range slices.Sorted(maps.Keys(users)) {
		password, ok := users[name].(string)
		if !ok || password == Hidden {
			continue
		}
		field := "policy.auth.users." + name
		if len(password) < MinPassword || len(password) > MaxPassword {
			return fault.New(fault.Invalid, field, "the password has %d bytes, want %d to %d", len(password), MinPassword, MaxPassword)
		}
		if fresh++; fresh > MaxNewPasswords {
			return fault.New(fault.TooLarge, "policy.auth.users", "there are more than %d new passwords in one change", MaxNewPasswords).
				WithTry("set them in several changes")
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
		if err != nil {
			return fmt.Errorf("hash the password of %s: %w", name, err)
		}
		users[name] = string(hash)
	}
	return nil
}

// keptUsers are all users after a change; nil where it says nothing of them.
func keptUsers(change map[string]any, have Terms) (map[string]any, error) {
	if change == nil {
		return nil, nil
	}
	out := map[string]any{}
	if have.Policy != nil && have.Policy.Auth != nil {
		for name, hash := range have.Policy.Auth.Users {
			out[name] = hash
		}
	}
	for _, name := range slices.Sorted(maps.Keys(change)) {
		switch value := change[name]; {
		case value == nil:
			delete(out, name)
		case value == Hidden && out[name] == nil:
			return nil, fault.New(fault.Invalid, "policy.auth.users."+name, "%s has no password yet that could be kept", name).
				WithTry("give it a password of %d bytes or more", MinPassword)
		case value != Hidden:
			out[name] = value
		}
	}
	return out, nil
}
