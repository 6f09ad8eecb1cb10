package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
)

// maxRunDir leaves room for the names of sockets in the 108 bytes of a path.
const maxRunDir = 70

var domainPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// complaints checks every setting; the result may hold nils.
func (c Config) complaints() []error {
	list := []error{
		absolute("data_dir", c.DataDir),
		absolute("run_dir", c.RunDir),
		domain("apps_domain", c.AppsDomain),
		oneOf("driver", string(c.Driver), string(Auto), string(Containerd), string(Process)),
		oneOf("log_level", c.LogLevel, "debug", "info", "warn", "error"),
		webURL("external_url", c.ExternalURL),
		subnet("subnet", c.Subnet),
		unixAddress("containerd.address", c.Containerd.Address),
		unixAddress("buildkit.address", c.Buildkit.Address),
		c.SSH.complaint(),
		webURL("mirrors.npm", c.Mirrors.NPM),
		webURL("mirrors.pip", c.Mirrors.Pip),
		webURL("mirrors.maven", c.Mirrors.Maven),
		webURL("mirrors.debian", c.Mirrors.Debian),
		webURL("proxy.http", c.Proxy.HTTP),
		webURL("proxy.https", c.Proxy.HTTPS),
		within("reserve.memory_percent", c.Reserve.MemoryPercent, 0, 90),
		within("reserve.disk_percent", c.Reserve.DiskPercent, 0, 90),
		factor("reserve.memory_overcommit", c.Reserve.MemoryOvercommit, 100),
		within("instance.pids", c.Instance.Pids, 1, 4_000_000),
		within("logs.days", c.Logs.Days, 1, 3650),
		notBelow("logs.bytes", c.Logs.Bytes, 0),
		notBelow("logs.search", c.Logs.Search, MiB),
		within("logs.drains", c.Logs.Drains, 1, 1000),
		within("services.max", c.Services.Max, 0, 100_000),
		notBelow("instance.memory", c.Instance.Memory, 4*MiB),
		notBelow("logs.line_bytes", c.Logs.LineBytes, KiB),
		notAbove("logs.line_bytes", c.Logs.LineBytes, MiB),
		notBelow("build.log_bytes", c.Build.LogBytes, 64*KiB),
		notBelow("logs.process", c.Logs.Process, 64*KiB),
		notBelow("gateway.header_bytes", c.Gateway.HeaderBytes, 4*KiB),
	}
	if c.Names != "" {
		list = append(list, domain("platform_domain", c.Names))
		if !strings.HasSuffix(c.Names, "."+c.AppsDomain) {
			list = append(list, fmt.Errorf("platform_domain: must be below apps_domain %s, for which naru's certificates are good (got %s)", c.AppsDomain, c.Names))
		}
	}
	if len(c.RunDir) > maxRunDir {
		list = append(list, fmt.Errorf("run_dir: must be at most %d bytes long, or its sockets cannot be opened (got %d)", maxRunDir, len(c.RunDir)))
	}
	for _, file := range []struct{ key, path string }{{"ca_bundle", c.CABundle}, {"key_file", c.KeyFile}, {"mirrors.keyring", c.Mirrors.Keyring}, {"acme.ca_bundle", c.ACME.CABundle}, {"acme.dns.secret_file", c.ACME.DNS.SecretFile}} {
		if file.path != "" {
			list = append(list, absolute(file.key, file.path))
		}
	}
	for _, pair := range c.Mirrors.Registries {
		host, mirror, ok := strings.Cut(pair, "=")
		if !ok || host == "" {
			list = append(list, fmt.Errorf("mirrors.registries: must be HOST=URL (got %q)", pair))
			continue
		}
		list = append(list, webURL("mirrors.registries", mirror))
	}
	if c.Instance.MaxMemory != 0 && c.Instance.MaxMemory < c.Instance.Memory {
		list = append(list, fmt.Errorf("instance.max_memory: must not be below instance.memory, %v (got %v)", c.Instance.Memory, c.Instance.MaxMemory))
	}
	list = append(list, c.Rollout.complaints()...)
	list = append(list, c.Metrics.complaints()...)
	list = append(list, c.Alerts.complaints()...)
	list = append(list, c.Mail.complaints()...)
	list = append(list, c.Metrics.RemoteWrite.complaints()...)
	if c.ACME.Agree {
		list = append(list, webURL("acme.directory", c.ACME.Directory))
		list = append(list, c.ACME.DNS.complaints()...)
	}
	list = append(list, c.Domains.complaints()...)
	list = append(list, c.Gateway.AccessLog.complaints()...)
	list = append(list, c.Traces.complaints()...)
	list = append(list, c.Objectives.complaints()...)
	list = append(list, c.Listen.complaints()...)
	list = append(list, c.tcpComplaints()...)
	return append(list, c.positives()...)
}

func (a AccessLog) complaints() []error {
	path := error(nil)
	if a.Path != "" && a.Path != "-" {
		path = absolute("gateway.access_log.path", a.Path)
	}
	return []error{
		oneOf("gateway.access_log.format", a.Format, "off", "json", "cf"), factor("gateway.access_log.sample", a.Sample, 1), path,
	}
}

func (m Metrics) complaints() []error {
	between := func(key string, got, low, high time.Duration) error {
		if got < low || got > high {
			return fmt.Errorf("%s: must be from %s to %s (got %s)", key, shortDuration(low), shortDuration(high), shortDuration(got))
		}
		return nil
	}
	return []error{
		between("metrics.interval", m.Interval, time.Second, 5*time.Minute),
		between("metrics.retention", m.Retention, 2*time.Hour, 10*365*24*time.Hour),
		between("metrics.out_of_order", m.OutOfOrder, time.Minute, 24*time.Hour),
		notBelow("metrics.retention_bytes", m.Bytes, 64*MiB), notAbove("metrics.scrape_bytes", m.ScrapeBytes, 256*MiB),
	}
}

func (r Rollout) complaints() []error {
	var steps, longest error
	if least, most := app.MinJudging.Std(), app.MaxJudging.Std(); r.Longest < least || r.Longest > most {
		longest = fmt.Errorf("rollout.longest: must be between %s and %s (got %s)", least, most, r.Longest)
	}
	if r.Steps != "" {
		if _, err := app.ParseSteps(r.Steps); err != nil {
			steps = fmt.Errorf("rollout.steps: must be like 1%%,10%%/5m,50%%/hold (got %q)", r.Steps)
		}
	}
	return []error{
		oneOf("rollout.strategy", r.Strategy, "rolling", "bluegreen", "canary", "highlander", "recreate"),
		oneOf("rollout.second", r.Second, app.Queue, app.Supersede),
		oneOf("rollout.unsure", r.Unsure, app.UnsurePromote, app.UnsureAsk, app.UnsureWait),
		longest, factor("rollout.false_alarms", r.FalseAlarms, 0.5), steps,
	}
}

func (l Listen) complaints() []error {
	owner := map[string]string{}
	var list []error
	for _, at := range []struct {
		key, addr string
		optional  bool
	}{
		{"listen.api", l.API, false},
		{"listen.registry", l.Registry, false},
		{"listen.apps", l.Apps, false},
		{"listen.apps_tls", l.AppsTLS, true},
		{"listen.prometheus", l.Metrics, true},
		{"listen.otlp", l.OTLP, true},
		{"listen.zipkin", l.Zipkin, true},
		{"listen.cf", l.CF, true},
		{"listen.ssh", l.SSH, true},
	} {
		if at.addr == "" && at.optional {
			continue
		}
		list = append(list, hostPort(at.key, at.addr))
		if _, port, err := net.SplitHostPort(at.addr); err == nil && port != "0" {
			if first, taken := owner[at.addr]; taken {
				list = append(list, fmt.Errorf("%s: is the same address as %s (got %q)", at.key, first, at.addr))
			}
			owner[at.addr] = at.key
		}
	}
	return list
}

// positives checks the settings that mean nothing at zero or below.
func (c Config) positives() []error {
	mayBeZero := []string{"instance.max_memory", "logs.app_rate", "rollout.max_in_flight", "gateway.access_log.sample"}
	var list []error
	for _, f := range Fields() {
		text := f.Value(c)
		switch {
		case f.Kind != "number" && f.Kind != "size" && f.Kind != "time":
		case strings.HasPrefix(text, "-"):
			list = append(list, fmt.Errorf("%s: must not be negative (got %s)", f.Key, text))
		case (text == "0" || text == "0s") && !slices.Contains(mayBeZero, f.Key) && !strings.HasPrefix(f.Key, "reserve."):
			list = append(list, fmt.Errorf("%s: must be above zero (got %s)", f.Key, text))
		}
	}
	return list
}

func absolute(key, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s: must be an absolute path (got %q)", key, path)
	}
	return nil
}

func domain(key, name string) error {
	if !domainPattern.MatchString(name) || len(name) > 180 {
		return fmt.Errorf("%s: must be a domain in small letters, such as apps.example.com (got %q)", key, name)
	}
	return nil
}

func oneOf(key, got string, allowed ...string) error {
	if !slices.Contains(allowed, got) {
		return fmt.Errorf("%s: must be one of %s (got %q)", key, strings.Join(allowed, ", "), got)
	}
	return nil
}

func hostPort(key, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s: must be HOST:PORT (got %q)", key, addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("%s: port must be a number from 0 to 65535 (got %q)", key, port)
	}
	if host != "" && host != "localhost" && net.ParseIP(host) == nil {
		return fmt.Errorf("%s: host must be an IP address of this machine, or empty for all (got %q)", key, host)
	}
	return nil
}

func webURL(key, text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s: must be an http or https URL (got %q)", key, redacted(text))
	}
	return nil
}

// redacted leaves a password in a URL out of the complaint about it.
func redacted(text string) string {
	if at := strings.LastIndex(text, "@"); at >= 0 {
		return "***" + text[at:]
	}
	return text
}

func unixAddress(key, addr string) error {
	if addr == "" || strings.HasPrefix(addr, "/") || strings.HasPrefix(addr, "unix:///") {
		return nil
	}
	return fmt.Errorf("%s: must be unix:///PATH (got %q)", key, addr)
}

func subnet(key string, p Prefix) error {
	switch {
	case !p.IsValid():
		return nil
	case !p.Addr().Is4() || p.Bits() > 20 || p.Bits() < 8:
		return fmt.Errorf("%s: must be an IPv4 prefix from /8 to /20 (got %v)", key, p)
	case p.Masked() != p.Prefix:
		return fmt.Errorf("%s: has bits set behind its length; write %v (got %v)", key, p.Masked(), p)
	}
	return nil
}

func within(key string, got, low, high int) error {
	if got < low || got > high {
		return fmt.Errorf("%s: must be from %d to %d (got %d)", key, low, high, got)
	}
	return nil
}

func factor(key string, got, most float64) error {
	if !(got >= 0 && got <= most) { // not a number is neither
		return fmt.Errorf("%s: must be from 0 to %v (got %v)", key, most, got)
	}
	return nil
}

func notAbove(key string, got, high Bytes) error {
	if got > high {
		return fmt.Errorf("%s: must be at most %v (got %v)", key, high, got)
	}
	return nil
}

func notBelow(key string, got, low Bytes) error {
	if got < low {
		return fmt.Errorf("%s: must be at least %v (got %v)", key, low, got)
	}
	return nil
}
