package ssh

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/secret"
)

// Codes are passwords that work once and not for long. They live in memory: a
// restart of naru makes people ask for another.
type Codes struct {
	lifetime time.Duration
	now      func() time.Time

	mu   sync.Mutex // guards held
	held map[[sha256.Size]byte]heldCode
}

type heldCode struct {
	user    auth.UserID
	expires time.Time
}

// The most codes that wait to be used, of everybody and of one user.
const (
	maxCodes     = 10_000
	maxUserCodes = 100
)

// NewCodes makes codes with a lifetime; now is the clock.
func NewCodes(lifetime time.Duration, now func() time.Time) *Codes {
	return &Codes{lifetime: lifetime, now: now, held: map[[sha256.Size]byte]heldCode{}}
}

// Issue makes a code for a user.
func (c *Codes) Issue(user auth.UserID) (secret.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, mine := c.now(), 0
	for sum, h := range c.held {
		switch {
		case !now.Before(h.expires):
			delete(c.held, sum)
		case h.user == user:
			mine++
		}
	}
	if len(c.held) >= maxCodes || mine >= maxUserCodes {
		return secret.Secret{}, fault.New(fault.Unavailable, "", "too many codes for ssh wait to be used").WithTry("wait %s", c.lifetime)
	}
	code := rand.Text() // 130 bits
	c.held[sha256.Sum256([]byte(code))] = heldCode{user, now.Add(c.lifetime)}
	return secret.New(code), nil
}

// redeem uses a code up and tells whose it was.
func (c *Codes) redeem(code string) (auth.UserID, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := sha256.Sum256([]byte(code))
	h, ok := c.held[sum]
	delete(c.held, sum)
	return h.user, ok && c.now().Before(h.expires)
}
