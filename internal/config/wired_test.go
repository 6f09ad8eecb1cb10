package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wired says for every setting where it is read: a file from the project's root,
// and what stands there. A setting that nobody reads is a promise nobody keeps.
var wired = map[string][2]string{
	"data_dir":                        {"internal/server/server.go", "cfg.DataDir"},
	"run_dir":                         {"internal/config/config.go", "c.RunDir"},
	"listen.api":                      {"internal/server/server.go", "cfg.Listen.API"},
	"listen.registry":                 {"internal/server/server.go", "cfg.Listen.Registry"},
	"listen.apps":                     {"internal/supervise/platform/platform.go", "c.Listen.Apps"},
	"listen.apps_tls":                 {"internal/supervise/platform/platform.go", "c.Listen.AppsTLS"},
	"listen.tcp":                      {"internal/supervise/platform/platform.go", "c.Listen.TCP()"},
	"listen.ssh":                      {"internal/server/ssh.go", "cfg.Listen.SSH"},
	"ssh.address":                     {"internal/server/ssh.go", "cfg.SSH.Address"},
	"ssh.connections":                 {"internal/server/ssh.go", "cfg.SSH.Connections"},
	"ssh.connections_per_address":     {"internal/server/ssh.go", "cfg.SSH.PerAddress"},
	"ssh.channels":                    {"internal/server/ssh.go", "cfg.SSH.Channels"},
	"ssh.tries":                       {"internal/server/ssh.go", "cfg.SSH.Tries"},
	"ssh.login_timeout":               {"internal/server/ssh.go", "cfg.SSH.Login"},
	"ssh.idle_timeout":                {"internal/server/ssh.go", "cfg.SSH.Idle"},
	"ssh.code_lifetime":               {"internal/server/ssh.go", "cfg.SSH.Code"},
	"acme.agree":                      {"internal/server/acme.go", "cfg.ACME.Agree"},
	"acme.directory":                  {"internal/server/acme.go", "cfg.ACME.Directory"},
	"acme.email":                      {"internal/server/acme.go", "cfg.ACME.Email"},
	"acme.ca_bundle":                  {"internal/server/acme.go", "cfg.ACME.CABundle"},
	"alerts.interval":                 {"internal/server/alerts.go", "a.Interval"},
	"alerts.wait":                     {"internal/server/alerts.go", "a.Wait"},
	"alerts.news":                     {"internal/server/alerts.go", "a.News"},
	"alerts.repeat":                   {"internal/server/alerts.go", "a.Repeat"},
	"alerts.receivers":                {"internal/server/alerts.go", "a.Receivers"},
	"alerts.silences":                 {"internal/server/alerts.go", "a.Silences"},
	"alerts.deliveries":               {"internal/server/alerts.go", "a.Deliveries"},
	"alerts.receivers_local":          {"internal/server/alerts.go", "cfg.Alerts.Local"},
	"alerts.pagerduty":                {"internal/server/alerts.go", "cfg.Alerts.PagerDuty"},
	"mail.server":                     {"internal/server/mail.go", "m.Server"},
	"mail.security":                   {"internal/server/mail.go", "m.Security"},
	"mail.user":                       {"internal/server/mail.go", "m.User"},
	"mail.password_file":              {"internal/server/mail.go", "m.PasswordFile"},
	"mail.from":                       {"internal/server/mail.go", "m.From"},
	"mail.hello":                      {"internal/server/mail.go", "m.Hello"},
	"mail.to_domains":                 {"internal/server/alerts.go", "ToDomains"},
	"domains.check":                   {"internal/config/domains.go", "c.Domains.Check"},
	"domains.addresses":               {"internal/server/domains.go", "cfg.Domains.Reached()"},
	"domains.resolver":                {"internal/server/domains.go", "cfg.Domains.Resolver"},
	"domains.timeout":                 {"internal/server/domains.go", "cfg.Domains.Timeout"},
	"acme.dns.server":                 {"internal/server/zone.go", "d.Server"},
	"acme.dns.zone":                   {"internal/server/zone.go", "d.Zone"},
	"acme.dns.key_name":               {"internal/server/zone.go", "d.KeyName"},
	"acme.dns.algorithm":              {"internal/server/zone.go", "d.Algorithm"},
	"acme.dns.secret_file":            {"internal/server/zone.go", "d.SecretFile"},
	"acme.dns.servers":                {"internal/server/zone.go", "d.Servers"},
	"apps_domain":                     {"internal/server/server.go", "cfg.AppsDomain"},
	"platform_domain":                 {"internal/server/names.go", "cfg.PlatformDomain()"},
	"external_url":                    {"internal/config/config.go", "return c.ExternalURL"},
	"driver":                          {"internal/server/driver.go", "c.Driver"},
	"subnet":                          {"internal/server/driver.go", "c.Subnet"},
	"ca_bundle":                       {"internal/server/trust.go", "c.CABundle"},
	"key_file":                        {"internal/config/config.go", "return c.KeyFile"},
	"ephemeral":                       {"internal/supervise/platform/spec_linux.go", "Ephemeral"},
	"log_level":                       {"cmd/naru/roles_linux.go", ".LogLevel"},
	"containerd.address":              {"internal/config/config.go", "engineSocket(c.Containerd,"},
	"containerd.binary":               {"internal/supervise/platform/containerd_linux.go", "p.Config.Containerd"},
	"buildkit.address":                {"internal/config/config.go", "engineSocket(c.Buildkit,"},
	"buildkit.binary":                 {"cmd/naru/up_linux.go", "Find(naru, cfg.Buildkit"},
	"cni.plugin_dir":                  {"internal/server/driver.go", "c.CNI.PluginDir"},
	"gateway.user":                    {"internal/config/user.go", "c.Gateway.User"},
	"gateway.header_bytes":            {"cmd/naru/roles_linux.go", ".Gateway.HeaderBytes"},
	"gateway.header_timeout":          {"cmd/naru/roles_linux.go", ".Gateway.HeaderTimeout"},
	"gateway.idle_timeout":            {"cmd/naru/roles_linux.go", ".Gateway.IdleTimeout"},
	"gateway.drain_timeout":           {"internal/server/server.go", "cfg.Gateway.DrainTimeout"},
	"gateway.drain_upgrade_timeout":   {"internal/server/server.go", "cfg.Gateway.DrainUpgrade"},
	"gateway.access_log.format":       {"cmd/naru/accesslog_linux.go", "c.Format"},
	"gateway.access_log.path":         {"cmd/naru/accesslog_linux.go", "c.Path"},
	"gateway.access_log.sample":       {"cmd/naru/accesslog_linux.go", "c.Sample"},
	"gateway.access_log.bytes":        {"cmd/naru/accesslog_linux.go", "c.Bytes"},
	"gateway.connections":             {"cmd/naru/roles_linux.go", ".Gateway.Connections"},
	"gateway.connections_per_address": {"cmd/naru/roles_linux.go", ".Gateway.PerAddress"},
	"gateway.http2_empty_frames":      {"cmd/naru/roles_linux.go", ".Gateway.EmptyFrames"},
	"gateway.body_min_rate":           {"cmd/naru/roles_linux.go", ".Gateway.BodyRate"},
	"gateway.tcp_idle_timeout":        {"cmd/naru/roles_linux.go", ".Gateway.TCPIdle"},
	"gateway.trusted_proxies":         {"cmd/naru/roles_linux.go", "Gateway.TrustedProxies()"},
	"gateway.proxy_protocol":          {"cmd/naru/roles_linux.go", "Gateway.Balancers()"},
	"mirrors.npm":                     {"internal/server/trust.go", "c.Mirrors.NPM"},
	"mirrors.goproxy":                 {"internal/server/trust.go", "c.Mirrors.GoProxy"},
	"mirrors.pip":                     {"internal/server/trust.go", "c.Mirrors.Pip"},
	"mirrors.maven":                   {"internal/server/trust.go", "c.Mirrors.Maven"},
	"mirrors.debian":                  {"internal/server/server.go", "cfg.Mirrors.Debian"},
	"mirrors.keyring":                 {"internal/server/server.go", "cfg.Mirrors.Keyring"},
	"mirrors.registries":              {"cmd/naru/up_linux.go", "cfg.Mirrors.Registries"},
	"proxy.http":                      {"internal/server/trust.go", "c.Proxy.HTTP"},
	"proxy.https":                     {"internal/server/trust.go", "c.Proxy.HTTPS"},
	"proxy.no":                        {"internal/server/trust.go", "c.Proxy.No"},
	"upload.bytes":                    {"internal/api/api.go", "Upload.Bytes"},
	"upload.unpacked":                 {"internal/server/server.go", "cfg.Upload.Unpacked"},
	"upload.files":                    {"internal/server/server.go", "cfg.Upload.Files"},
	"bake.release":                    {"internal/server/server.go", "cfg.Bake.Release"},
	"bake.index":                      {"internal/server/server.go", "cfg.Bake.Index"},
	"bake.package":                    {"internal/server/server.go", "cfg.Bake.Package"},
	"bake.total":                      {"internal/server/server.go", "cfg.Bake.Total"},
	"bake.unpacked":                   {"internal/server/server.go", "cfg.Bake.Unpacked"},
	"bake.cache":                      {"internal/server/server.go", "cfg.Bake.Cache"},
	"build.timeout":                   {"internal/server/server.go", "cfg.Build.Timeout"},
	"build.memory":                    {"internal/config/config.go", "c.Build.Memory"},
	"build.cpu":                       {"cmd/naru/up_linux.go", "cfg.Build.CPU"},
	"build.parallel":                  {"internal/server/server.go", "cfg.Build.Parallel"},
	"build.cache":                     {"cmd/naru/up_linux.go", "cfg.Build.Cache"},
	"build.log_bytes":                 {"internal/server/server.go", "cfg.Build.LogBytes"},
	"instance.memory":                 {"internal/server/room.go", "c.Instance.Memory"},
	"instance.max_memory":             {"internal/server/room.go", "c.Instance.MaxMemory"},
	"instance.disk":                   {"internal/server/room.go", "c.Instance.Disk"},
	"instance.cpu":                    {"internal/server/room.go", "c.Instance.CPU"},
	"instance.pids":                   {"internal/server/room.go", "c.Instance.Pids"},
	"instance.max":                    {"internal/server/server.go", "cfg.Instance.Max"},
	"instance.start_timeout":          {"internal/server/room.go", "c.Instance.StartTimeout"},
	"instance.stop_timeout":           {"internal/server/room.go", "c.Instance.StopTimeout"},
	"instance.starts":                 {"internal/server/server.go", "cfg.Instance.Starts"},
	"instance.task_timeout":           {"internal/server/server.go", "cfg.Instance.TaskTimeout"},
	"logs.spool":                      {"internal/server/server.go", "cfg.Logs.Spool"},
	"logs.rate":                       {"internal/server/server.go", "cfg.Logs.Rate"},
	"logs.app_rate":                   {"internal/server/server.go", "cfg.Logs.AppRate"},
	"logs.line_bytes":                 {"internal/server/server.go", "cfg.Logs.LineBytes"},
	"logs.days":                       {"internal/server/server.go", "cfg.Logs.Days"},
	"logs.bytes":                      {"internal/server/server.go", "cfg.Logs.Bytes"},
	"logs.search":                     {"internal/api/api.go", "o.Logs.Search"},
	"services.max":                    {"internal/server/provided.go", "Services.Max"},
	"logs.drains":                     {"internal/server/drains.go", "Logs.Drains"},
	"logs.drain_timeout":              {"internal/server/drains.go", "Logs.DrainTimeout"},
	"logs.drain_local":                {"internal/server/drains.go", "Logs.DrainLocal"},
	"logs.process":                    {"internal/supervise/platform/spec_linux.go", "Logs.Process"},
	"listen.prometheus":               {"internal/server/observe.go", "cfg.Listen.Metrics"},
	"traces.sample":                   {"cmd/naru/roles_linux.go", "cfg.Traces.Sample"},
	"traces.first":                    {"cmd/naru/roles_linux.go", "cfg.Traces.First"},
	"traces.days":                     {"internal/server/traces.go", "cfg.Traces.Days"},
	"traces.bytes":                    {"internal/server/traces.go", "cfg.Traces.Bytes"},
	"traces.rate":                     {"internal/server/traces.go", "cfg.Traces.Rate"},
	"traces.span_bytes":               {"internal/server/traces.go", "cfg.Traces.SpanBytes"},
	"traces.attributes":               {"internal/server/traces.go", "cfg.Traces.Attributes"},
	"traces.value_bytes":              {"internal/server/traces.go", "cfg.Traces.ValueBytes"},
	"traces.spans_per_trace":          {"internal/server/traces.go", "cfg.Traces.SpansPerTrace"},
	"traces.ahead":                    {"internal/server/traces.go", "cfg.Traces.Ahead"},
	"traces.search":                   {"internal/server/traces.go", "cfg.Traces.Search"},
	"traces.body_bytes":               {"internal/server/traces_doors.go", "cfg.Traces.BodyBytes"},
	"traces.port":                     {"internal/server/driver.go", "c.Traces.Port"},
	"listen.otlp":                     {"internal/server/traces_doors.go", "cfg.Listen.OTLP"},
	"listen.zipkin":                   {"internal/server/traces_doors.go", "cfg.Listen.Zipkin"},
	"listen.cf":                       {"internal/server/cf.go", "cfg.Listen.CF"},
	"metrics.interval":                {"internal/server/observe.go", "m.Interval"},
	"metrics.retention":               {"internal/server/observe.go", "m.Retention"},
	"metrics.retention_bytes":         {"internal/server/observe.go", "m.Bytes"},
	"metrics.out_of_order":            {"internal/server/observe.go", "m.OutOfOrder"},
	"metrics.series":                  {"internal/server/observe.go", "m.Series"},
	"metrics.series_per_app":          {"internal/server/observe.go", "m.SeriesPerApp"},
	"metrics.scrape_bytes":            {"internal/server/observe_apps.go", "cfg.Metrics.ScrapeBytes"},
	"metrics.query_samples":           {"internal/server/observe.go", "m.QuerySamples"},
	"metrics.query_timeout":           {"internal/server/observe.go", "m.QueryTimeout"},
	"metrics.queries":                 {"internal/server/observe.go", "m.Queries"},
	"objectives.journeys":             {"internal/server/objectives.go", "cfg.Objectives.Journeys"},
	"objectives.probes":               {"internal/server/objectives.go", "cfg.Objectives.Probes"},
	"keep.releases":                   {"internal/server/upkeep.go", "u.keep.Releases"},
	"rollout.strategy":                {"internal/server/strategy.go", "r.Strategy"},
	"rollout.steps":                   {"internal/server/strategy.go", "cfg.Rollout.Steps"},
	"rollout.max_in_flight":           {"internal/server/strategy.go", "r.MaxInFlight"},
	"rollout.watch":                   {"internal/server/server.go", "cfg.Rollout.Watch"},
	"rollout.second":                  {"internal/server/strategy.go", "r.Second"},
	"rollout.patience":                {"internal/server/server.go", "cfg.Rollout.Patience"},
	"rollout.unsure":                  {"internal/server/strategy.go", "r.Unsure"},
	"rollout.longest":                 {"internal/server/strategy.go", "r.Longest"},
	"rollout.false_alarms":            {"internal/server/strategy.go", "r.FalseAlarms"},
	"reserve.memory_percent":          {"internal/server/room.go", "c.Reserve.MemoryPercent"},
	"reserve.memory_overcommit":       {"internal/server/room.go", "c.Reserve.MemoryOvercommit"},
	"reserve.disk_percent":            {"internal/server/room.go", "c.Reserve.DiskPercent"},
	"tokens.access":                   {"internal/server/server.go", "cfg.Tokens.Access"},
	"tokens.refresh":                  {"internal/server/server.go", "cfg.Tokens.Refresh"},

	"metrics.remote_write.url":           {"internal/server/forward.go", "r.URL"},
	"metrics.remote_write.series":        {"internal/server/forward.go", "r.Series"},
	"metrics.remote_write.user":          {"internal/server/forward.go", "r.User"},
	"metrics.remote_write.password_file": {"internal/server/forward.go", "r.Password"},
	"metrics.remote_write.token_file":    {"internal/server/forward.go", "r.Token"},
	"metrics.remote_write.tenant":        {"internal/server/forward.go", "r.Tenant"},
	"metrics.remote_write.batch":         {"internal/server/forward.go", "r.Batch"},
	"metrics.remote_write.delay":         {"internal/server/forward.go", "r.Delay"},
	"metrics.remote_write.timeout":       {"internal/server/forward.go", "r.Timeout"},
}

func TestEverySettingIsRead(t *testing.T) {
	known := map[string]bool{}
	for _, f := range Fields() {
		known[f.Key] = true
		where, ok := wired[f.Key]
		if !ok {
			t.Errorf("%s: say here where it is read", f.Key)
			continue
		}
		text, err := os.ReadFile(filepath.Join("../..", where[0]))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), where[1]) {
			t.Errorf("%s: %s does not have %q any more", f.Key, where[0], where[1])
		}
	}
	for key := range wired {
		if !known[key] {
			t.Errorf("%s is no setting", key)
		}
	}
}

func TestBuildsLeaveHalfOfASmallMachine(t *testing.T) {
	c := Default(0, func(string) string { return "" })
	for machine, want := range map[Bytes]Bytes{0: 4 * GiB, 64 * GiB: 4 * GiB, 2000 * MiB: 900 * MiB} {
		if got := c.BuildMemory(machine); got != want {
			t.Errorf("of %v builds get %v, want %v", machine, got, want)
		}
	}
}
