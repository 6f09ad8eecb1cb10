//go:build linux

package server

import (
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"strings"

	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/observe/forward"
	timeseries "naru/internal/observe/metrics"
)

// newForwarder sends metrics on to where the operator wants them; nil where that
// is nowhere.
func newForwarder(cfg config.Config, o *observed, t trust) (*forward.Forwarder, error) {
	r := cfg.Metrics.RemoteWrite
	if r.URL == "" {
		return nil, nil //nolint:nilnil // none is asked for
	}
	series, err := timeseries.ParseSelection(r.Series)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "metrics.remote_write.series", err).WithTry(`up or {__name__=~"naru_.*"}`)
	}
	header, err := remoteHeader(r)
	if err != nil {
		return nil, err
	}
	return forward.New(forward.Config{
		URL: r.URL, Header: header, Series: series, File: cfg.RemoteWritePath(),
		Every: cfg.Metrics.Interval, Delay: r.Delay, Batch: r.Batch, Timeout: r.Timeout, Transport: t.transport,
	}, o.store, o.log), nil
}

// forwarding sends until ctx ends; nil has nowhere to.
func forwarding(f *forward.Forwarder) func(context.Context) error {
	if f != nil {
		return f.Run
	}
	return func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}
}

// remoteHeader says who sends.
func remoteHeader(r config.RemoteWrite) (http.Header, error) {
	h := http.Header{}
	if r.Tenant != "" {
		h.Set("X-Scope-OrgID", r.Tenant)
	}
	word := func(key, file string) (string, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fault.New(fault.Invalid, key, "cannot read %s", file).WithCause(err)
		}
		if word := strings.TrimSpace(string(text)); word != "" && !strings.ContainsAny(word, "\r\n") {
			return word, nil
		}
		return "", fault.New(fault.Invalid, key, "%s must hold one line", file)
	}
	switch {
	case r.Token != "":
		token, err := word("metrics.remote_write.token_file", r.Token)
		if err != nil {
			return nil, err
		}
		h.Set("Authorization", "Bearer "+token)
	case r.User != "":
		password, err := word("metrics.remote_write.password_file", r.Password)
		if err != nil {
			return nil, err
		}
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(r.User+":"+password)))
	}
	return h, nil
}
