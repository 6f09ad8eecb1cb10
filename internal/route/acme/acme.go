// Package acme asks a public authority for certificates of hosts, keeps them,
// and asks again in time.
package acme

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"naru/internal/route/certificate"
)

// Config of a Keeper.
type Config struct {
	Directory string            // URL of the authority
	Email     string            // where the authority writes to; "": nowhere
	Dir       string            // keys and certificates, mode 0600
	Transport http.RoundTripper // to the authority; nil: the usual one
	DNS       DNS               // changes a zone, for DNS-01; nil: there is none
	// Proved is nil for a host that the authority may be asked about; else its error
	// is for people. A nil func: it may be for all.
	Proved func(ctx context.Context, host string) error
	Clock  func() time.Time // nil: time.Now
}

// Presenter has gateways answer the authority's questions. Present returns when
// all of them do.
type Presenter interface {
	Present(ctx context.Context, a certificate.Answers) error
}

// State is how it is with a host.
type State struct {
	Host    string
	Chain   []byte    // PEM; nil: there is none yet
	Asking  bool      // the authority is asked now, or is about to be
	Failure string    // why the last try failed; "": it did not
	Next    time.Time // of the next try, where the last one failed
}

// Keeper has a certificate for each host it is told of.
type Keeper struct {
	cfg     Config
	present Presenter
	served  func() // called after certificates changed
	log     *slog.Logger
	wake    chan struct{}
	left    []change // of the zone, that are still to be undone; of Run's goroutine alone

	mu    sync.Mutex // guards what follows
	hosts map[string]*entry
}

type entry struct {
	pair     certificate.Pair
	facts    certificate.Facts
	failures int
	failure  string
	next     time.Time // nothing is tried before
}

// New wires a keeper; Run does the work. served is called, on Run's goroutine,
// after a certificate came.
func New(cfg Config, present Presenter, served func(), log *slog.Logger) *Keeper {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Keeper{cfg: cfg, present: present, served: served, log: log, wake: make(chan struct{}, 1), hosts: map[string]*entry{}}
}

// Want sets the hosts that are to have certificates. Those kept on disk are there
// at once; changed says whether there are other hosts than before.
func (k *Keeper) Want(hosts []string) (changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := map[string]*entry{}
	changed = len(hosts) != len(k.hosts)
	for _, h := range hosts {
		changed = changed || k.hosts[h] == nil
		if now[h] = k.hosts[h]; now[h] == nil {
			now[h] = k.kept(h)
		}
	}
	k.hosts = now
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return changed
}

// Pairs are the certificates there are.
func (k *Keeper) Pairs() (all []certificate.Pair) {
	for _, s := range k.States() {
		if s.Chain != nil {
			k.mu.Lock()
			if e := k.hosts[s.Host]; e != nil {
				all = append(all, e.pair)
			}
			k.mu.Unlock()
		}
	}
	return all
}

// Run asks for what is missing or ends soon, one host at a time, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	k.left = k.changes()
	for {
		k.undo(ctx)
		host, wait := k.next(k.cfg.Clock())
		if host != "" {
			k.try(ctx, host)
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-k.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// try gets a host its certificate, or says why there is none.
func (k *Keeper) try(ctx context.Context, host string) {
	if k.cfg.Proved != nil {
		if err := k.cfg.Proved(ctx, host); err != nil {
			k.unproved(ctx, host, err)
			return
		}
	}
	pair, err := k.obtain(ctx, host)
	var facts certificate.Facts
	if err == nil {
		facts, err = certificate.Check(pair, host, k.cfg.Clock())
	}
	if err == nil {
		if err := k.keep(host, pair); err != nil {
			k.log.ErrorContext(ctx, "certificate not kept", "host", host, "error", err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	e := k.hosts[host]
	if e != nil && err != nil {
		e.failure, e.next = reason(err), k.cfg.Clock().Add(pause(e.failures))
		e.failures++
		k.log.WarnContext(ctx, "no certificate", "host", host, "error", err, "next", e.next)
	} else if e != nil {
		*e = entry{pair: pair, facts: facts}
		k.log.InfoContext(ctx, "certificate", "host", host, "until", facts.Until)
	}
	k.mu.Unlock()
	if e != nil && err == nil {
		k.served()
	}
}

// unproved puts a host off that the authority may not be asked about. It hears
// nothing, so the pause is short, and the longer ones after failures stay.
func (k *Keeper) unproved(ctx context.Context, host string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.hosts[host]
	if e == nil || ctx.Err() != nil {
		return
	}
	if e.failure != reason(err) {
		k.log.WarnContext(ctx, "no certificate", "host", host, "error", err)
	}
	e.failure, e.next = reason(err), k.cfg.Clock().Add(prove)
}
