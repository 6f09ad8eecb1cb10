// Package id makes identifiers: UUIDs of version 7, which sort by the time they
// were made and serve every door as a GUID.
package id

import "github.com/google/uuid"

// New returns a fresh identifier. It panics only where the operating system has
// no randomness to give.
func New() string { return uuid.Must(uuid.NewV7()).String() }

// Valid reports whether s has the form of an identifier.
func Valid(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil && len(s) == 36
}
