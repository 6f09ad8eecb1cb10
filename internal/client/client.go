// Package client speaks naru's API: the wire types and one HTTP client, used by
// the command line, by tests and by scripts written in Go.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"naru/internal/backoff"
	"naru/internal/fault"
	"naru/internal/id"
)

// Patience is how long a Client goes on trying to reach a server that does not
// answer, unless Options say otherwise.
const Patience = 60 * time.Second

// maxAnswer bounds what is read of an answer that is no stream, in bytes.
const maxAnswer = 64 << 20

// Options are what a Client may be told. The zero value is ready for use
// without a login.
type Options struct {
	Session   Session       // where tokens come from; nil: requests carry none
	UserAgent string        // "" says naru
	HTTP      *http.Client  // nil: one without an overall timeout, for streams last long
	Patience  time.Duration // 0: the constant Patience; negative: never try again
	// Waiting is called before every wait for a server that could not be
	// reached; nil: nobody wants to know.
	Waiting func(err error, wait time.Duration)
}

// Client is a connection to one naru server. It may be used from many
// goroutines. Its errors are *fault.Error wherever the server explained one.
type Client struct {
	base    *url.URL
	session Session
	agent   string
	http    *http.Client
	patient time.Duration
	waiting func(error, time.Duration)
	retry   backoff.Policy
}

// New makes a client of the server at addr, an http or https URL.
func New(addr string, o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(addr, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, fault.New(fault.Invalid, "address", "%q is not the address of a naru server", addr).
			WithTry("give it as http://HOST:PORT or https://HOST")
	}
	c := &Client{
		base: base, session: o.Session, agent: o.UserAgent, http: o.HTTP, patient: o.Patience, waiting: o.Waiting,
		retry: backoff.Policy{First: 100 * time.Millisecond, Max: 3 * time.Second, Jitter: 0.2},
	}
	if c.agent == "" {
		c.agent = "naru"
	}
	if c.http == nil {
		c.http = &http.Client{}
	}
	if c.patient == 0 {
		c.patient = Patience
	}
	if c.waiting == nil {
		c.waiting = func(error, time.Duration) {}
	}
	return c, nil
}

// Address is the server's URL, without a slash at its end.
func (c *Client) Address() string { return c.base.String() }

// call is one request to the API.
type call struct {
	method string
	path   string // escaped, below the server's address: /v1/...
	query  url.Values
	in     any       // sent as JSON; nil: no body
	body   io.Reader // sent as it is, in place of in; such a call is not repeated
	kind   string    // content type of body
	key    string    // Idempotency-Key; made where it is "" and the method changes something
	public bool      // needs no token
}

// send carries a call out and returns the answer, which is a success and whose
// body the caller closes. A call is repeated while the server cannot be reached
// or says that it is not ready, because the key makes asking twice the same as
// asking once.
func (c *Client) send(ctx context.Context, x call) (*http.Response, error) {
	var payload []byte
	if x.in != nil {
		var err error
		if payload, err = json.Marshal(x.in); err != nil {
			return nil, fmt.Errorf("encode %s %s: %w", x.method, x.path, err)
		}
	}
	if x.key == "" && x.method != http.MethodGet {
		x.key = id.New()
	}
	began, refreshed := time.Now(), false
	for attempt := 0; ; attempt++ {
		res, token, err := c.once(ctx, x, payload)
		if err == nil && res.StatusCode < 400 {
			return res, nil
		}
		var again time.Duration
		if err == nil {
			again = retryAfter(res)
			err = readError(res)
			if fault.Is(err, fault.Unauthenticated) && token != "" && !refreshed && x.body == nil {
				refreshed = true
				if _, renewErr := c.renew(ctx, token); renewErr == nil {
					continue
				}
				return nil, err
			}
		}
		wait := max(again, c.delay(attempt))
		if !passing(err) || x.body != nil || ctx.Err() != nil || time.Since(began)+wait > c.patient {
			return nil, err
		}
		c.waiting(err, wait)
		if sleep(ctx, wait) != nil {
			return nil, err
		}
	}
}

// once sends a call once. It also returns the token that was used.
func (c *Client) once(ctx context.Context, x call, payload []byte) (*http.Response, string, error) {
	body := x.body
	if payload != nil {
		body, x.kind = bytes.NewReader(payload), "application/json"
	}
	target := c.base.String() + x.path
	if len(x.query) > 0 {
		target += "?" + x.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, x.method, target, body)
	if err != nil {
		return nil, "", fmt.Errorf("request %s %s: %w", x.method, x.path, err)
	}
	req.Header.Set("User-Agent", c.agent)
	if x.kind != "" {
		req.Header.Set("Content-Type", x.kind)
	}
	if x.key != "" {
		req.Header.Set("Idempotency-Key", x.key)
	}
	token := ""
	if !x.public {
		if token, err = c.token(ctx); err != nil {
			return nil, "", err
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, token, unreachable(ctx, c.base.Host, err)
	}
	return res, token, nil
}

// do carries a call out and decodes its answer into out; nil drops it.
func (c *Client) do(ctx context.Context, x call, out any) error {
	res, err := c.send(ctx, x)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // the answer was read or is of no use
	if out == nil || res.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read the answer to %s %s: %w", x.method, x.path, err)
	}
	return nil
}

// get, post, put, patch and remove are the calls most methods make.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.do(ctx, call{method: http.MethodGet, path: path, query: query}, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, call{method: http.MethodPost, path: path, in: in}, out)
}

func (c *Client) put(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, call{method: http.MethodPut, path: path, in: in}, out)
}

func (c *Client) patch(ctx context.Context, path string, in, out any) error {
	return c.do(ctx, call{method: http.MethodPatch, path: path, in: in}, out)
}

func (c *Client) remove(ctx context.Context, path string, out any) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path}, out)
}

// join makes a path of segments, each escaped.
func join(prefix string, segments ...string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// delay is the wait before the next attempt.
func (c *Client) delay(attempt int) time.Duration { return c.retry.Delay(attempt, rand.Float64) }

// passing reports that a failure may be over when the call is made again.
func passing(err error) bool { return fault.Is(err, fault.Unavailable) }

// unreachable says that no answer came.
func unreachable(ctx context.Context, host string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if why := untrusted(err); why != "" { // asking again would not help
		return fault.New(fault.Unauthenticated, "", "the server at %s is not trusted: %s", host, why).
			WithTry("naru login https://%s --ca-cert FILE, with what naru ca prints on the platform's machine", host).WithCause(err)
	}
	return fault.New(fault.Unavailable, "", "no answer from the naru server at %s", host).
		WithTry("see that naru up runs there, or name another server: naru login http://HOST:PORT").WithCause(err)
}

func retryAfter(res *http.Response) time.Duration {
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
