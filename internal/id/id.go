// Package id makes identifiers: UUIDs of version 7, which sort by the time they
// were made and serve every door as a GUID.
package id

import (
	"time"

	"github.com/google/uuid"
)

// New returns a fresh identifier. It panics only where the operating system has
// no randomness to give.
func New() string { return uuid.Must(uuid.NewV7()).String() }

// Named returns the identifier of what has a name and nothing else: the same
// always, for a kind and a name.
func Named(kind, name string) string {
	return uuid.NewSHA1(uuid.NameSpaceDNS, []byte("naru."+kind+"."+name)).String()
}

// Valid reports whether s has the form of an identifier.
func Valid(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil && len(s) == 36
}

// Time is when an identifier of version 7 was made, to the millisecond; it reports
// false for other texts.
func Time(s string) (time.Time, bool) {
	u, err := uuid.Parse(s)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms), true
}
