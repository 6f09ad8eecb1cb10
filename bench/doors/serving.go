package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// look is the pause between two looks at which instance answers.
const look = 5 * time.Millisecond

// instance asks an app at the gateway which of its instances answers; "" where none
// does.
func (b *bench) instance(ctx context.Context, app string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.apps+"/env/NARU_INSTANCE", http.NoBody)
	if err != nil {
		return ""
	}
	req.Host = app + ".localhost"
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return ""
	}
	return strings.TrimSpace(string(body))
}

// another waits until another instance answers, and returns when it first did.
func (b *bench) another(ctx context.Context, app, before string) (time.Time, error) {
	for {
		if now := b.instance(ctx, app); now != "" && now != before {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-time.After(look):
		}
	}
}
