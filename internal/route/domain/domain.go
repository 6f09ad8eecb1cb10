// Package domain decides which space may have a host, by what the host's DNS
// says.
package domain

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
)

// Config of a Desk.
type Config struct {
	Required  bool         // hosts outside the apps domain have to be proved, too, where no other space has them
	Apps      string       // the apps domain, whose names nobody has to prove
	Addresses []netip.Addr // a host that leads to some of these and nowhere else is proved; none: only tokens prove
	Resolver  string       // HOST:PORT of the name server that is asked; "": those of /etc/resolv.conf
	Timeout   time.Duration
	Secret    []byte // tokens are made of it
}

// Store tells who has what.
type Store interface {
	// HostHolders lists the spaces with routes at a host or at a wildcard over it.
	HostHolders(ctx context.Context, host string) ([]route.Holder, error)
}

// Desk decides. It keeps nothing: DNS has the proofs.
type Desk struct {
	cfg   Config
	store Store
	dns   resolver
	turns chan struct{} // bounds how many hosts are looked up at once
}

// lookups is how many hosts are looked up at once.
const lookups = 16

// New makes a desk.
func New(cfg Config, store Store) *Desk {
	cfg.Apps = strings.ToLower(cfg.Apps)
	return &Desk{cfg: cfg, store: store, dns: resolver{cfg.Resolver, max(attempt, cfg.Timeout/3)}, turns: make(chan struct{}, lookups)}
}

// Standing is how it is with a space and a host.
type Standing struct {
	Host    string
	Need    Need
	Records []string     // names of which each may have the token, as TXT; the best one first
	Token   string       // what stands there, "naru=…"
	Expect  []netip.Addr // addresses that prove it as well; none: they do not
	Seen    Seen         // zero where nothing has to be proved
}

// Proved reports whether DNS gives the host to the space.
func (s Standing) Proved() bool { return s.Seen.Record != "" || s.Pointed() }

// Pointed reports whether the host's addresses prove it. Where somebody's token
// stands they prove nothing: the owner has said who it is.
func (s Standing) Pointed() bool {
	if len(s.Seen.Addresses) == 0 || s.Seen.Problem != "" || s.Seen.Elsewhere != "" {
		return false
	}
	for _, a := range s.Seen.Addresses {
		if !slices.Contains(s.Expect, a) {
			return false
		}
	}
	return true
}

// Look says what it takes a space to have a host, and what DNS has of it. The
// host is in the form of the table.
func (d *Desk) Look(ctx context.Context, space app.SpaceID, host string) (Standing, error) {
	holders, err := d.store.HostHolders(ctx, host)
	if err != nil {
		return Standing{}, err
	}
	return d.look(ctx, space, host, needOf(host, space, holders, d.cfg.Apps, d.cfg.Required)), nil
}

// Allow is nil for a host that the space may have, and says what is missing for
// another one.
func (d *Desk) Allow(ctx context.Context, space app.SpaceID, host string) error {
	s, err := d.Look(ctx, space, host)
	if err != nil {
		return err
	}
	return s.Refusal()
}

// Proved is nil for a host that a space which has it has proved, whoever else
// has routes there. Where nothing has to be proved it always is.
func (d *Desk) Proved(ctx context.Context, host string) error {
	if !d.cfg.Required {
		return nil
	}
	holders, err := d.store.HostHolders(ctx, host)
	if err != nil {
		return err
	}
	missing := error(fault.New(fault.NotFound, "host", "nobody has routes at %s", host))
	for _, h := range holders {
		if h.Host != host {
			continue
		}
		s := d.look(ctx, h.Space, host, Need{Kind: Proof})
		if missing = s.Refusal(); missing == nil {
			return nil
		}
	}
	return missing
}

// look asks DNS where something is to be proved.
func (d *Desk) look(ctx context.Context, space app.SpaceID, host string, need Need) Standing {
	s := Standing{Host: host, Need: need}
	if need.Kind != Proof && need.Kind != Token {
		return s
	}
	s.Records, s.Token = records(host, need.Below), d.token(space)
	if need.Kind == Proof && !strings.HasPrefix(host, "*.") {
		s.Expect = d.cfg.Addresses
	}
	s.Seen = d.see(ctx, s)
	return s
}

// Refusal is nil where the space may have the host, else the error for people.
func (s Standing) Refusal() error {
	kind, reason := fault.Denied, "nothing in DNS gives it to this space"
	if s.Need.Kind == Token {
		kind, reason = fault.Conflict, "another space answers there, and nothing in DNS gives it to this one"
	}
	switch {
	case s.Need.Kind == Nothing, s.Proved():
		return nil
	case s.Need.Kind == Taken:
		return fault.New(fault.Conflict, "host", "%s is below *.%s, which belongs to another space", s.Host, s.Need.Below).
			WithTry("choose another host: naru map-route APP NAME takes one of one word")
	case s.Seen.Problem != "":
		reason = s.Seen.Problem
	case s.Seen.Elsewhere != "":
		reason = s.Seen.Elsewhere + " has the token of another space"
	}
	e := fault.New(kind, "host", "%s is not proved to be this space's: %s", s.Host, reason)
	if len(s.Expect) > 0 {
		return e.WithTry("set the TXT record %s to %s, or let the host lead to %s and nowhere else; naru domain %s says what is seen",
			s.Records[0], s.Token, List(s.Expect), s.Host)
	}
	return e.WithTry("set the TXT record %s to %s; naru domain %s says what is seen", s.Records[0], s.Token, s.Host)
}

// List writes addresses for people.
func List(addresses []netip.Addr) string {
	texts := make([]string, 0, len(addresses))
	for _, a := range addresses {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}
