// Package acme asks a public authority for certificates of hosts, keeps them,
// and asks again in time.
package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"naru/internal/atomicfile"
	"naru/internal/route/certificate"
)

// Config of a Keeper.
type Config struct {
	Directory string            // URL of the authority
	Email     string            // where the authority writes to; "": nowhere
	Dir       string            // keys and certificates, mode 0600
	Transport http.RoundTripper // to the authority; nil: the usual one
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
	for {
		host, wait := k.next(time.Now())
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

func (k *Keeper) try(ctx context.Context, host string) {
	pair, err := k.obtain(ctx, host)
	var facts certificate.Facts
	if err == nil {
		facts, err = certificate.Check(pair, host, time.Now())
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
		e.failure, e.next = reason(err), time.Now().Add(pause(e.failures))
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

// obtain asks the authority, and lets it look the other way where the first leads
// nowhere: one port may end elsewhere.
func (k *Keeper) obtain(ctx context.Context, host string) (certificate.Pair, error) {
	pair, err := k.by(ctx, host, acme.ChallengeTypeHTTP01)
	if err == nil || ctx.Err() != nil || !errors.As(err, new(acme.Problem)) {
		return pair, err
	}
	pair, second := k.by(ctx, host, acme.ChallengeTypeTLSALPN01)
	if second != nil {
		return pair, fmt.Errorf("%w (with TLS-ALPN-01: %s)", err, reason(second))
	}
	return pair, nil
}

// by asks with one kind of challenge.
func (k *Keeper) by(ctx context.Context, host, challenge string) (certificate.Pair, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	client := acmez.Client{
		Client: &acme.Client{
			Directory: k.cfg.Directory, UserAgent: "naru", Logger: slog.New(slog.DiscardHandler),
			HTTPClient: &http.Client{Transport: k.cfg.Transport, Timeout: 30 * time.Second},
		},
		ChallengeSolvers: map[string]acmez.Solver{challenge: solver{k}},
	}
	key, err := k.accountKey()
	if err != nil {
		return certificate.Pair{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if k.cfg.Email != "" {
		account.Contact = []string{"mailto:" + k.cfg.Email}
	}
	// An authority answers a known key with its account.
	if account, err = client.NewAccount(ctx, account); err != nil {
		return certificate.Pair{}, fmt.Errorf("open account: %w", err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate.Pair{}, fmt.Errorf("make key: %w", err)
	}
	chains, err := client.ObtainCertificateForSANs(ctx, account, private, []string{host})
	if err != nil {
		return certificate.Pair{}, err
	}
	if len(chains) == 0 {
		return certificate.Pair{}, errors.New("the authority gave no certificate")
	}
	text, err := keyPEM(private)
	return certificate.Pair{Chain: chains[0].ChainPEM, Key: text, Names: []string{host}}, err
}

// accountKey reads the key of the account, or makes it.
func (k *Keeper) accountKey() (crypto.Signer, error) {
	path := filepath.Join(k.cfg.Dir, "account.pem")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make account key: %w", err)
		}
		if text, err = keyPEM(key); err != nil {
			return nil, err
		}
		return key, write(path, text)
	}
	if err != nil {
		return nil, fmt.Errorf("read account key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read account key %s: it is not in PEM form", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("read account key %s: %w", path, err)
	}
	return signer, nil
}

// kept is what the disk has for a host.
func (k *Keeper) kept(host string) *entry {
	text, err := os.ReadFile(k.path(host))
	if err != nil {
		return &entry{}
	}
	var p certificate.Pair
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			p.Chain = append(p.Chain, pem.EncodeToMemory(block)...)
		} else {
			p.Key = pem.EncodeToMemory(block)
		}
	}
	p.Names = []string{host}
	facts, err := certificate.Check(p, host, time.Now())
	if err != nil {
		return &entry{} // it is asked for anew
	}
	return &entry{pair: p, facts: facts}
}

func (k *Keeper) keep(host string, p certificate.Pair) error {
	return write(k.path(host), append(append([]byte(nil), p.Key...), p.Chain...))
}

// path is where a host's certificate is kept; a host in the table's form is a
// good name of a file.
func (k *Keeper) path(host string) string { return filepath.Join(k.cfg.Dir, "hosts", host+".pem") }

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, text, 0o600)
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// reason is what people are told of a failure.
func reason(err error) string {
	var p acme.Problem
	if errors.As(err, &p) && p.Detail != "" {
		return p.Detail
	}
	return err.Error()
}
