package auth

import (
	"cmp"
	"context"
	"time"

	"naru/internal/event"
	"naru/internal/feature"
)

// Users is what is asked about users.
type Users interface {
	User(ctx context.Context, user UserID) (User, error)
	UserNamed(ctx context.Context, name, origin string) (User, error)
	CreateUser(ctx context.Context, u User, evs ...event.Event) (User, error)
	UpdateUser(ctx context.Context, user UserID, change func(*User) error, evs ...event.Event) (User, error)
	Grants(ctx context.Context, user UserID) ([]Grant, error)
	Grant(ctx context.Context, user UserID, g Grant, evs ...event.Event) error
	Ungrant(ctx context.Context, user UserID, g Grant, evs ...event.Event) error
}

// Sessions is what is kept of logins.
type Sessions interface {
	AddRefreshToken(ctx context.Context, token RefreshToken, evs ...event.Event) error
	// RotateRefreshToken hands the token with a hash to next, marks it as used and
	// keeps the one that next returns, in one transaction.
	RotateRefreshToken(ctx context.Context, hash string, next func(old RefreshToken, now time.Time) (RefreshToken, error)) error
	// EndSession forgets a session's refresh tokens and revokes its access tokens
	// until the given time.
	EndSession(ctx context.Context, session string, until time.Time, evs ...event.Event) error
	EndSessions(ctx context.Context, user UserID, until time.Time, evs ...event.Event) error
	Revoke(ctx context.Context, id string, until time.Time, evs ...event.Event) error
	Revoked(ctx context.Context, ids ...string) (bool, error)
	AddLoginCode(ctx context.Context, code LoginCode, evs ...event.Event) error
	// TakeLoginCode returns a code and forgets it.
	TakeLoginCode(ctx context.Context, hash string, evs ...event.Event) (LoginCode, error)
}

// APITokens is what is kept of tokens for programs.
type APITokens interface {
	AddAPIToken(ctx context.Context, token APIToken, evs ...event.Event) (APIToken, error)
	APIToken(ctx context.Context, hash string) (APIToken, error)
	APITokens(ctx context.Context, user UserID) ([]APIToken, error)
	TouchAPIToken(ctx context.Context, id string) error
	DeleteAPIToken(ctx context.Context, user UserID, name string, evs ...event.Event) error
}

// Store keeps all of it; each call is one transaction and Together makes one of
// several.
type Store interface {
	Users
	Sessions
	APITokens
	Together(ctx context.Context, do func(ctx context.Context) error) error
	AppendEvents(ctx context.Context, evs ...event.Event) error
}

// Config says how long what lives and what guessing costs. Zero fields mean the
// default.
type Config struct {
	Issuer       string        // "iss" of access tokens; "naru"
	Access       time.Duration // life of an access token; 10 min
	Refresh      time.Duration // a session ends so long after its last use; 30 days
	RefreshGrace time.Duration // a used refresh token may be used again for so long, by a client that lost the answer; 60 s
	Code         time.Duration // life of a login code; 15 min
	APIToken     time.Duration // life of an API token that names none; 1 year
	MaxAPIToken  time.Duration // longest life of an API token; 10 years

	Hash    HashCost // of a password: 19 MiB, 2 passes, 1 thread
	Hashes  int      // computed at once; 2
	Waiting int      // logins that wait for one, above which they are refused; 100

	Lockout Lockout // 5 failures per user and address, 50 per address, then 1 s doubling to 15 min

	Clock    func() time.Time   // nil: time.Now
	Features func() feature.Set // what is switched now; nil: nothing
}

func (c Config) filled() Config {
	c.Issuer = cmp.Or(c.Issuer, "naru")
	c.Access = cmp.Or(c.Access, 10*time.Minute)
	c.Refresh = cmp.Or(c.Refresh, 30*24*time.Hour)
	c.RefreshGrace = cmp.Or(c.RefreshGrace, time.Minute)
	c.Code = cmp.Or(c.Code, 15*time.Minute)
	c.APIToken = cmp.Or(c.APIToken, 365*24*time.Hour)
	c.MaxAPIToken = cmp.Or(c.MaxAPIToken, 10*365*24*time.Hour)
	// The least that OWASP's password storage advice allows; more would be felt on
	// a small machine whenever several people log in.
	c.Hash = cmp.Or(c.Hash, HashCost{MemoryKiB: 19 << 10, Passes: 2, Threads: 1})
	c.Hashes = cmp.Or(c.Hashes, 2)
	c.Waiting = cmp.Or(c.Waiting, 100)
	c.Lockout = Lockout{
		PerUser:    cmp.Or(c.Lockout.PerUser, 5),
		PerAddress: cmp.Or(c.Lockout.PerAddress, 50),
		First:      cmp.Or(c.Lockout.First, time.Second),
		Max:        cmp.Or(c.Lockout.Max, 15*time.Minute),
		Forget:     cmp.Or(c.Lockout.Forget, time.Hour),
		Remember:   cmp.Or(c.Lockout.Remember, 10_000),
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Features == nil {
		c.Features = func() feature.Set { return nil }
	}
	return c
}

// Service lets people in. Its methods may be called from many goroutines.
type Service struct {
	store  Store
	key    *Key
	cfg    Config
	hasher *hasher
	tries  *attempts
}

// New makes a service that signs with key.
func New(store Store, key *Key, cfg Config) *Service {
	cfg = cfg.filled()
	return &Service{
		store: store, key: key, cfg: cfg,
		hasher: newHasher(cfg.Hash, cfg.Hashes, cfg.Hashes+cfg.Waiting),
		tries:  newAttempts(cfg.Lockout, cfg.Clock),
	}
}
