package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"naru/internal/route"
	"naru/internal/route/prober"
)

// probeBytes are read of an answer's body, so that an app is not cut off in a
// short one.
const probeBytes = 64 << 10

// ask notes what a route wants to know of an instance.
func (v *view) ask(b *backend, p *policy) {
	if p == nil || p.spec.Health == nil {
		return
	}
	if v.asked == nil {
		v.asked = map[prober.Question]struct{}{}
	}
	v.asked[prober.QuestionOf(b, *p.spec.Health)] = struct{}{}
}

// Ask has the instance asked how it is; with Unwell and Instance it makes the
// backend one whom a prober asks.
func (b *backend) Ask(ctx context.Context, p route.Probe) error { return b.tables.asking(ctx, b, p) }

// Unwell counts a question that is answered badly.
func (b *backend) Unwell(more int32) { b.fit.Unwell(more) }

// Instance is the one at the backend's address.
func (b *backend) Instance() route.Instance { return b.instance }

var _ prober.Target = (*backend)(nil)

// newAsking asks over HTTP, with a connection for each question: what is asked is
// whether the instance takes new ones, too.
func newAsking() func(context.Context, *backend, route.Probe) error {
	client := &http.Client{
		Transport:     eitherOf(&http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: probeBytes}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, b *backend, p route.Probe) error {
		req, err := http.NewRequestWithContext(b.spoken(ctx), http.MethodGet, "http://"+b.instance.Address+p.Path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "naru-gateway")
		res, err := client.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("no answer in %s", p.Timeout)
			}
			if why := new(url.Error); errors.As(err, &why) {
				err = why.Err
			}
			return err
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.CopyN(io.Discard, res.Body, probeBytes)
		if res.StatusCode < 200 || res.StatusCode > 399 {
			return fmt.Errorf("status %d", res.StatusCode)
		}
		return nil
	}
}
