package config

import (
	"fmt"
	"time"
)

// RemoteWrite is another Prometheus to which metrics are sent on.
type RemoteWrite struct {
	URL      string        `key:"url" doc:"receiver of Prometheus's remote write protocol to which metrics are sent on: https://HOST/api/v1/write, of Mimir https://HOST/api/v1/push; empty: none"`
	Series   string        `key:"series" doc:"which series are sent: selectors joined by or, such as up or {__name__=~\"naru_.*\"}; empty: all"`
	User     string        `key:"user" doc:"user name for basic authentication at the receiver"`
	Password string        `key:"password_file" doc:"file with the password to it"`
	Token    string        `key:"token_file" doc:"file with a bearer token, instead of user and password"`
	Tenant   string        `key:"tenant" doc:"tenant of the receiver, sent as X-Scope-OrgID"`
	Batch    int           `key:"batch" doc:"samples of one request"`
	Delay    time.Duration `key:"delay" doc:"age at which samples are sent; what comes later than that goes by itself, out of order"`
	Timeout  time.Duration `key:"timeout" doc:"time for one request"`
}

func (r RemoteWrite) complaints() []error {
	span := func(key string, got, low, high time.Duration) error {
		if got > 0 && (got < low || got > high) { // of the rest all settings complain
			return fmt.Errorf("metrics.remote_write.%s: must be from %s to %s (got %s)", key, shortDuration(low), shortDuration(high), shortDuration(got))
		}
		return nil
	}
	list := []error{
		webURL("metrics.remote_write.url", r.URL), span("delay", r.Delay, time.Second, time.Hour), span("timeout", r.Timeout, time.Second, 5*time.Minute),
	}
	if r.Batch > 50_000 {
		list = append(list, fmt.Errorf("metrics.remote_write.batch: must be at most 50000 (got %d)", r.Batch))
	}
	for _, file := range []struct{ key, path string }{{"metrics.remote_write.password_file", r.Password}, {"metrics.remote_write.token_file", r.Token}} {
		if file.path != "" {
			list = append(list, absolute(file.key, file.path))
		}
	}
	switch {
	case r.Token != "" && (r.User != "" || r.Password != ""):
		list = append(list, fmt.Errorf("metrics.remote_write.token_file: is instead of user and password_file"))
	case (r.User == "") != (r.Password == ""):
		list = append(list, fmt.Errorf("metrics.remote_write.user: goes with metrics.remote_write.password_file"))
	}
	return list
}
