package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAReceiverOfMetricsIsChecked(t *testing.T) {
	good := RemoteWrite{URL: "https://mimir/api/v1/push", Batch: 2000, Delay: 30 * time.Second, Timeout: 30 * time.Second}
	if err := errors.Join(good.complaints()...); err != nil {
		t.Errorf("complains %v", err)
	}
	for name, c := range map[string]struct {
		change func(*RemoteWrite)
		want   string
	}{
		"no web":             {func(r *RemoteWrite) { r.URL = "ftp://x" }, "metrics.remote_write.url: must be an http or https URL"},
		"a user alone":       {func(r *RemoteWrite) { r.User = "me" }, "goes with metrics.remote_write.password_file"},
		"a password alone":   {func(r *RemoteWrite) { r.Password = "/p" }, "goes with metrics.remote_write.password_file"},
		"both ways":          {func(r *RemoteWrite) { r.User, r.Password, r.Token = "me", "/p", "/t" }, "is instead of user and password_file"},
		"a relative file":    {func(r *RemoteWrite) { r.Token = "t" }, `metrics.remote_write.token_file: must be an absolute path (got "t")`},
		"a day late":         {func(r *RemoteWrite) { r.Delay = 24 * time.Hour }, "metrics.remote_write.delay: must be from 1s to 1h (got 24h)"},
		"too much at once":   {func(r *RemoteWrite) { r.Batch = 1 << 20 }, "metrics.remote_write.batch: must be at most 50000"},
		"an endless request": {func(r *RemoteWrite) { r.Timeout = time.Hour }, "metrics.remote_write.timeout: must be from 1s to 5m"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			if err := errors.Join(r.complaints()...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("complains %v, want %q", err, c.want)
			}
		})
	}
}
