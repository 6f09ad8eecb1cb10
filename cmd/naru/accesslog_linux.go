package main

import (
	"context"
	"log/slog"
	"path/filepath"

	"naru/internal/config"
	"naru/internal/route/accesslog"
)

// openAccessLog opens the gateway's own access log; nil where none is wanted.
func openAccessLog(cfg config.Config, alone bool, log *slog.Logger) (*accesslog.Log, error) {
	c := cfg.Gateway.AccessLog
	if c.Format == "off" {
		return nil, nil
	}
	path := c.Path
	switch {
	case path != "":
	case alone:
		path = "-"
	default:
		path = filepath.Join(cfg.GatewayDir(), "access.log")
	}
	return accesslog.New(accesslog.Options{Format: accesslog.Format(c.Format), Path: path, Sample: c.Sample, Bytes: int64(c.Bytes)}, log)
}

// written has an access log written until end is called, which returns when all
// of it is.
func written(ctx context.Context, l *accesslog.Log) (end func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.Run(ctx) // it has no error to tell
	}()
	return func() { stop(); <-done }
}
