// Package fetch downloads what a hash names into a cache that is addressed by
// that hash, and small documents that no hash names yet. What it returns has
// been checked against the hash on this very call.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"naru/internal/backoff"
	"naru/internal/fault"
)

// Config says how to reach mirrors.
type Config struct {
	Dir       string                                // the cache; made when missing
	CABundle  []byte                                // PEM certificates to trust beside the system's
	Proxy     func(*http.Request) (*url.URL, error) // nil connects directly
	Attempts  int                                   // per address; 0 means 4
	Retry     backoff.Policy                        // between attempts; zero means 200 ms to 3 s
	Idle      time.Duration                         // a download that stands still so long is given up; 0 means 30 s
	UserAgent string
}

// Client downloads; it is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
	log  *slog.Logger
}

// New checks the CA bundle and wires a client. It contacts nobody.
func New(cfg Config, log *slog.Logger) (*Client, error) {
	if cfg.Attempts == 0 {
		cfg.Attempts = 4
	}
	if cfg.Retry == (backoff.Policy{}) {
		cfg.Retry = backoff.Policy{First: 200 * time.Millisecond, Max: 3 * time.Second, Jitter: 0.5}
	}
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Second
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "naru-bake"
	}
	tr := &http.Transport{
		Proxy: cfg.Proxy, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: cfg.Idle,
		DisableCompression: true, // hashes are of what is on the wire
		ForceAttemptHTTP2:  true,
	}
	if len(cfg.CABundle) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(cfg.CABundle) {
			return nil, fault.New(fault.Invalid, "ca_bundle", "no PEM certificate in the CA bundle")
		}
		tr.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &Client{cfg: cfg, http: &http.Client{Transport: tr}, log: log}, nil
}

// statusError is an answer that is not 200.
type statusError struct {
	url  string
	code int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s answered %d %s", e.url, e.code, http.StatusText(e.code))
}

// Missing says whether err is a mirror's "there is no such file".
func Missing(err error) bool {
	var s *statusError
	return errors.As(err, &s) && (s.code == http.StatusNotFound || s.code == http.StatusGone)
}

// worthRetrying leaves out what asking again cannot change.
func worthRetrying(err error) bool {
	var s *statusError
	if errors.As(err, &s) {
		return s.code >= 500 || s.code == http.StatusTooManyRequests || s.code == http.StatusRequestTimeout
	}
	var cert *tls.CertificateVerificationError
	return !errors.As(err, &cert) && !fault.Is(err, fault.TooLarge)
}

// retry runs do until it succeeds, the attempts are used up, or another attempt
// makes no sense.
func (c *Client) retry(ctx context.Context, what string, do func() error) error {
	var err error
	for n := range c.cfg.Attempts {
		if n > 0 {
			c.log.DebugContext(ctx, "download again", "url", what, "attempt", n+1, "error", err)
			if werr := c.cfg.Retry.Wait(ctx, n-1); werr != nil {
				return errors.Join(werr, err)
			}
		}
		if err = do(); err == nil || ctx.Err() != nil || !worthRetrying(err) {
			break
		}
	}
	return err
}

// get opens an address; the reader fails when no byte came for Config.Idle.
func (c *Client) get(ctx context.Context, address string, header http.Header) (io.ReadCloser, http.Header, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := c.http.Do(req)
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		cancel(nil)
		return nil, nil, &statusError{address, resp.StatusCode}
	}
	idle := time.AfterFunc(c.cfg.Idle, func() { cancel(fmt.Errorf("no byte for %s", c.cfg.Idle)) })
	return &body{ctx: ctx, r: resp.Body, idle: idle, every: c.cfg.Idle, cancel: cancel}, resp.Header, nil
}

type body struct {
	ctx    context.Context // of this one response: its cause says why reading failed
	r      io.ReadCloser
	idle   *time.Timer
	every  time.Duration
	cancel context.CancelCauseFunc
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.idle.Reset(b.every)
	if err != nil && !errors.Is(err, io.EOF) && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *body) Close() error {
	b.idle.Stop()
	err := b.r.Close()
	b.cancel(nil)
	return err
}

// Document downloads something small that no hash names, at most max bytes.
// accept may be empty.
func (c *Client) Document(ctx context.Context, address, accept string, max int64) ([]byte, error) {
	header := http.Header{}
	if accept != "" {
		header.Set("Accept", accept)
	}
	var out []byte
	err := c.retry(ctx, address, func() error {
		r, _, err := c.get(ctx, address, header)
		if err != nil {
			return err
		}
		defer r.Close()
		out, err = io.ReadAll(io.LimitReader(r, max+1))
		if err == nil && int64(len(out)) > max {
			return fault.New(fault.TooLarge, "", "%s is larger than %d bytes", address, max)
		}
		return err
	})
	if err != nil {
		return nil, unreachable(address, err)
	}
	return out, nil
}

// unreachable turns a failed download into words for people.
func unreachable(address string, err error) error {
	if fault.Is(err, fault.TooLarge) || fault.Is(err, fault.Invalid) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("download %s: %w", address, err)
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return fault.New(fault.Unavailable, "", "download %s: the certificate is not trusted", address).
			WithTry("add the CA of your proxy to the operator's CA bundle").WithCause(err)
	}
	return fault.New(fault.Unavailable, "", "download %s failed", address).
		WithTry("check the network and the mirror named under from.mirror").WithCause(err)
}
