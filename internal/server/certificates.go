//go:build linux

package server

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"naru/internal/config"
	"naru/internal/route"
	"naru/internal/route/authority"
	"naru/internal/route/certificate"
	"naru/internal/route/hub"
)

const (
	renewLeft  = 30 * 24 * time.Hour // a certificate is replaced when it is good for less
	renewCheck = time.Hour
	maxLeaves  = 2000 // hosts with a certificate of their own
)

// certified is a hub that has the certificates of a table's hosts sent before
// the table.
type certified struct {
	*hub.Hub
	path, domain string
	log          *slog.Logger

	mu     sync.Mutex // guards what follows
	leaves map[string]leaf
	ca     *authority.Authority
	looked time.Time // when ca was last asked for: it may have to be replaced
	begun  bool      // the gateways have been given a set

	brought bringer                          // what people brought, and what other authorities gave
	answers certificate.Answers              // for authorities that are asked
	wanted  func(route.Table) (changed bool) // told of every table; nil: nobody
	others  []certificate.Pair               // of brought, as last served; they go before our own
}

// bringer has certificates that are served beside our own. An error names those
// that are left out.
type bringer func(ctx context.Context) ([]certificate.Pair, error)

type leaf struct {
	pair certificate.Pair
	made time.Time
}

// newCertified wires what makes certificates where HTTPS is served, else the
// hub alone.
func newCertified(cfg config.Config, gateways *hub.Hub, log *slog.Logger) *certified {
	c := &certified{Hub: gateways, log: log, leaves: map[string]leaf{}}
	if cfg.Listen.AppsTLS != "" {
		c.path, c.domain = cfg.AuthorityPath(), strings.ToLower(cfg.AppsDomain)
	}
	return c
}

// Publish sends a table, and before it the certificates it needs.
func (c *certified) Publish(t route.Table) uint64 {
	if c.wanted != nil && c.wanted(t) {
		c.gather(context.Background())
	}
	c.certify(t, time.Now())
	return c.Hub.Publish(t)
}

// Run renews certificates until ctx ends.
func (c *certified) Run(ctx context.Context) error {
	ticker := time.NewTicker(renewCheck)
	defer ticker.Stop()
	for {
		t, _ := c.Latest()
		c.gather(ctx)
		c.certify(t, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// refresh serves what was brought meanwhile.
func (c *certified) refresh(ctx context.Context) {
	c.gather(ctx)
	t, _ := c.Latest()
	c.certify(t, time.Now())
}

// Present has all gateways answer authorities, and returns when they do. The
// table goes once more, for its acknowledgement.
func (c *certified) Present(ctx context.Context, a certificate.Answers) error {
	c.mu.Lock()
	c.answers, c.begun = a, false
	c.mu.Unlock()
	t, _ := c.Latest()
	c.certify(t, time.Now())
	version, ok := c.Again()
	if !ok {
		return nil
	}
	return c.WaitAcked(ctx, version)
}

// gather reads what is brought. What cannot be read is no reason to take away
// what is served.
func (c *certified) gather(ctx context.Context) {
	if c.path == "" || c.brought == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pairs, err := c.brought(ctx)
	if err != nil {
		c.log.ErrorContext(ctx, "certificates of hosts", "error", err)
		if pairs == nil {
			return
		}
	}
	if !slices.EqualFunc(pairs, c.others, certificate.Pair.Equal) {
		c.others, c.begun = pairs, false
	}
}

// certify makes the certificates that are missing or old. A table must not wait
// for a certificate that cannot be made: what there is goes on.
func (c *certified) certify(t route.Table, now time.Time) {
	if c.path == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ca == nil || now.Sub(c.looked) >= renewCheck {
		ca, made, err := authority.Load(c.path, c.domain, now)
		if err != nil {
			c.log.Error("certificates for the platform's names", "error", err)
			return
		}
		if made {
			c.log.Info("a new certificate authority: clients are to trust what naru ca prints", "domain", c.domain)
			clear(c.leaves)
		}
		c.ca, c.looked = ca, now
	}
	changed := !c.begun
	wanted := leafNames(t, c.domain)
	for name := range c.leaves {
		if !slices.Contains(wanted, name) {
			delete(c.leaves, name)
			changed = true
		}
	}
	for _, name := range wanted {
		if old, ok := c.leaves[name]; ok && now.Sub(old.made) < authority.LeafLife-renewLeft {
			continue
		}
		names := []string{name}
		if name == c.domain {
			names = append(names, "*."+name)
		}
		pair, err := c.ca.Issue(names, now)
		if err != nil {
			c.log.Error("certificate for a name of the platform", "name", name, "error", err)
			continue
		}
		c.leaves[name] = leaf{pair, now}
		changed = true
	}
	if !changed {
		return
	}
	c.begun = true
	set := &certificate.Set{Version: uint64(now.UnixMicro()), Nameless: c.domain, Pairs: slices.Clone(c.others), Answers: c.answers}
	for _, name := range wanted {
		if l, ok := c.leaves[name]; ok {
			set.Pairs = append(set.Pairs, l.pair)
		}
	}
	c.Certify(set)
}

// leafNames are the names that need a certificate of their own, the domain
// first; its certificate has the wildcard as well. OpenSSL takes no wildcard
// directly under a name without a dot (*.localhost), and a wildcard covers one
// label only, so such hosts get one each, the first maxLeaves of them.
func leafNames(t route.Table, domain string) []string {
	own := map[string]bool{}
	for i := range t.Routes {
		host := strings.ToLower(t.Routes[i].Host)
		sub, under := strings.CutSuffix(host, "."+domain)
		if under && sub != "" && !strings.Contains(sub, "*") && (strings.Contains(sub, ".") || !strings.Contains(domain, ".")) {
			own[host] = true
		}
	}
	names := slices.Sorted(maps.Keys(own))
	return append([]string{domain}, names[:min(len(names), maxLeaves)]...)
}
