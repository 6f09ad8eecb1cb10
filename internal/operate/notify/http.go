package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/secret"
)

// SendTimeout bounds one try.
const SendTimeout = 15 * time.Second

// post sends JSON and returns what was answered. The address is a secret: with many
// receivers who knows it may write there, so errors name only its host.
func post(ctx context.Context, client *http.Client, to secret.Secret, body any, header http.Header, secrets ...secret.Secret) (string, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return "", Permanent(fmt.Errorf("write message: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, SendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.Reveal(), bytes.NewReader(data))
	if err != nil {
		return "", Permanent(errors.New("the address of the receiver is none"))
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "naru")
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("post to %s: %w", req.URL.Host, bare(err))
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	words := hidden(string(said), append(secrets, to))
	if err == nil && resp.StatusCode/100 == 2 {
		return fmt.Sprintf("%s: %d %s%s", req.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode), words), nil
	}
	err = answered{status: resp.StatusCode, wait: retryAfter(resp.Header.Get("Retry-After"))}
	err = fmt.Errorf("post to %s: %w%s", req.URL.Host, err, words)
	if s := resp.StatusCode; s/100 == 4 && s != http.StatusTooManyRequests && s != http.StatusRequestTimeout && s != http.StatusTooEarly {
		return "", Permanent(err)
	}
	return "", err
}

// bare takes the address out of what the client says.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// hidden is what a receiver said, without the secrets that it was sent.
func hidden(said string, secrets []secret.Secret) string {
	for _, v := range secrets {
		if v.IsZero() {
			continue
		}
		said = strings.ReplaceAll(said, v.Reveal(), "***")
		if u, err := url.Parse(v.Reveal()); err == nil && len(u.Path) > 8 {
			said = strings.ReplaceAll(said, u.RequestURI(), "***")
		}
	}
	if said = strings.Join(strings.Fields(clip(said, 200)), " "); said == "" {
		return ""
	}
	return ": " + said
}

// answered is a status that is no success.
type answered struct {
	status int
	wait   time.Duration // what the receiver asked for; 0: nothing
}

func (a answered) Error() string {
	return fmt.Sprintf("answered %d %s", a.status, http.StatusText(a.status))
}

// asked is how long a receiver asked to be left alone, at most an hour.
func asked(err error) time.Duration {
	var a answered
	if errors.As(err, &a) {
		return min(a.wait, time.Hour)
	}
	return 0
}

func retryAfter(value string) time.Duration {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// NewHTTPClient makes the client of receivers: they may not lead it elsewhere,
// because the address that somebody allowed is the one that is meant.
func NewHTTPClient(rt http.RoundTripper) *http.Client {
	return &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// CheckURL refuses what is no address of a receiver. It never quotes it.
func CheckURL(field string, u secret.Secret) error {
	p, err := url.Parse(u.Reveal())
	if err != nil || p.Scheme != "https" && p.Scheme != "http" || p.Host == "" {
		return fault.New(fault.Invalid, field, "it is no http or https address").WithTry("https://hooks.example.com/…")
	}
	return nil
}
