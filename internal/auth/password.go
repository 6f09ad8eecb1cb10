package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"naru/internal/fault"
	"naru/internal/secret"
)

// HashCost is what one password costs to check, with argon2id.
type HashCost struct {
	MemoryKiB uint32
	Passes    uint32
	Threads   uint8
}

// Limits of passwords, in bytes.
const (
	MinPassword = 8
	MaxPassword = 1024
)

const (
	saltSize = 16
	hashSize = 32
)

// hasher makes and checks password hashes. At most slots run at once, and queue
// more wait, so that logins can exhaust neither memory nor processors.
type hasher struct {
	cost    HashCost
	slots   chan struct{}
	queue   int64
	waiting atomic.Int64
	decoy   string // of the same cost as a real one, matched by no password
}

func newHasher(cost HashCost, slots, queue int) *hasher {
	decoy := make([]byte, saltSize+hashSize)
	_, _ = rand.Read(decoy) // never fails
	return &hasher{
		cost: cost, slots: make(chan struct{}, slots), queue: int64(queue),
		decoy: phc(cost, decoy[:saltSize], decoy[saltSize:]),
	}
}

// phc writes a hash in the form of the password hashing competition.
func phc(c HashCost, salt, hash []byte) string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, c.MemoryKiB, c.Passes, c.Threads, enc.EncodeToString(salt), enc.EncodeToString(hash))
}

var errHash = errors.New("a stored password hash cannot be read")

func parsePHC(s string) (c HashCost, salt, hash []byte, err error) {
	var version int
	var rest string
	n, err := fmt.Sscanf(s, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &c.MemoryKiB, &c.Passes, &c.Threads, &rest)
	if err != nil || n != 5 || version != argon2.Version || c.Passes == 0 || c.Threads == 0 || c.MemoryKiB > 1<<20 {
		return c, nil, nil, errHash
	}
	for i := range rest {
		if rest[i] != '$' {
			continue
		}
		salt, err1 := base64.RawStdEncoding.DecodeString(rest[:i])
		hash, err2 := base64.RawStdEncoding.DecodeString(rest[i+1:])
		if err1 != nil || err2 != nil || len(hash) < 16 || len(hash) > 64 {
			break
		}
		return c, salt, hash, nil
	}
	return c, nil, nil, errHash
}

// take waits for a slot and returns the function that gives it back.
func (h *hasher) take(ctx context.Context) (release func(), err error) {
	if h.waiting.Add(1) > h.queue {
		h.waiting.Add(-1)
		return nil, fault.New(fault.Unavailable, "", "too many people are logging in at once").WithTry("try again in a few seconds")
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// make hashes a password.
func (h *hasher) make(ctx context.Context, password secret.Secret) (string, error) {
	release, err := h.take(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return h.hash(password), nil
}

// hash hashes a password in a slot that the caller holds.
func (h *hasher) hash(password secret.Secret) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	c := h.cost
	return phc(c, salt, argon2.IDKey([]byte(password.Reveal()), salt, c.Passes, c.MemoryKiB, c.Threads, hashSize))
}

// matches compares a password with a stored hash, in a slot that the caller
// holds. Where there is no hash it takes as long and says no.
func (h *hasher) matches(stored string, password secret.Secret) (bool, error) {
	if stored == "" {
		stored = h.decoy
	}
	c, salt, want, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	got := argon2.IDKey([]byte(password.Reveal()), salt, c.Passes, c.MemoryKiB, c.Threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// outdated reports whether a hash was made at another cost than is used now.
func (h *hasher) outdated(stored string) bool {
	c, _, _, err := parsePHC(stored)
	return err == nil && c != h.cost
}

// checkPassword refuses a password that cannot be one.
func checkPassword(field string, password secret.Secret) error {
	switch n := len(password.Reveal()); {
	case n < MinPassword:
		return fault.New(fault.Invalid, field, "a password has at least %d characters", MinPassword)
	case n > MaxPassword:
		return fault.New(fault.Invalid, field, "a password has at most %d bytes", MaxPassword)
	}
	return nil
}
