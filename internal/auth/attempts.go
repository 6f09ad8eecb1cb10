package auth

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"naru/internal/fault"
)

// ErrLocked is the cause of a login that was refused for the failures before it,
// whatever its password was.
var ErrLocked = errors.New("too many failed logins")

// Lockout slows down guessing.
type Lockout struct {
	PerUser    int           // failures of one user from one address before waiting begins
	PerAddress int           // failures of one address, whoever is tried
	First      time.Duration // the first wait; each further failure doubles it
	Max        time.Duration // the longest wait
	Forget     time.Duration // after the last failure
	Remember   int           // users and addresses at most; the oldest failure is forgotten first
}

// attempts counts failed logins. They are kept in memory only: nobody outside
// can restart naru to be forgotten.
type attempts struct {
	policy Lockout
	clock  func() time.Time

	mu       sync.Mutex // guards failures
	failures map[string]failure
}

type failure struct {
	count int
	last  time.Time
	until time.Time // refused before
}

func newAttempts(p Lockout, clock func() time.Time) *attempts {
	return &attempts{policy: p, clock: clock, failures: map[string]failure{}}
}

// keys returns what is counted for a try, and how many failures each allows.
func (a *attempts) keys(user, address string) map[string]int {
	keys := map[string]int{"user\x00" + user + "\x00" + address: a.policy.PerUser}
	if address != "" {
		keys["address\x00"+address] = a.policy.PerAddress
	}
	return keys
}

// allowed refuses a try while its user or address has to wait.
func (a *attempts) allowed(user, address string) error {
	now := a.clock()
	a.mu.Lock()
	defer a.mu.Unlock()
	var wait time.Duration
	for key := range a.keys(user, address) {
		wait = max(wait, a.failures[key].until.Sub(now))
	}
	if wait <= 0 {
		return nil
	}
	return fault.New(fault.Denied, "", "too many failed logins").
		WithTry("try again in %s", wait.Round(time.Second)+time.Second).WithCause(ErrLocked)
}

// failed counts a failure.
func (a *attempts) failed(user, address string) {
	now := a.clock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, allowed := range a.keys(user, address) {
		f := a.failures[key]
		if now.Sub(f.last) > a.policy.Forget {
			f = failure{}
		}
		f.count, f.last = f.count+1, now
		if over := f.count - allowed; over >= 0 {
			wait := a.policy.Max
			if over < 30 { // beyond, doubling would overflow
				wait = min(a.policy.First<<over, a.policy.Max)
			}
			f.until = now.Add(wait)
		}
		a.failures[key] = f
	}
	a.trim(now)
}

// succeeded forgets the failures of a user at an address. Those of the address
// stay: one known password must not buy more guesses at others.
func (a *attempts) succeeded(user, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failures, "user\x00"+user+"\x00"+address)
}

// trim keeps memory bounded.
func (a *attempts) trim(now time.Time) {
	if len(a.failures) > a.policy.Remember {
		maps.DeleteFunc(a.failures, func(_ string, f failure) bool { return now.Sub(f.last) > a.policy.Forget })
	}
	for len(a.failures) > a.policy.Remember {
		var oldest string
		for key, f := range a.failures {
			if oldest == "" || f.last.Before(a.failures[oldest].last) {
				oldest = key
			}
		}
		delete(a.failures, oldest)
	}
}

// addressKey is where From keeps the address.
type addressKey struct{}

// From notes in a context which address a request came from, for counting failed
// logins.
func From(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

func address(ctx context.Context) string {
	a, _ := ctx.Value(addressKey{}).(string)
	return a
}
