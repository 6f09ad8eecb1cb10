package api

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/auth/vault"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/run"
	"naru/internal/source"
)

func faultOf(e *fault.Error) *client.Fault {
	if e == nil {
		return nil
	}
	return &client.Fault{Kind: string(e.Kind), Field: e.Field, Message: e.Message, Try: e.Try}
}

func operationOf(o operation.Operation) client.Operation {
	return client.Operation{
		ID: string(o.ID), Kind: string(o.Kind), State: string(o.State), SpaceID: string(o.Space), AppID: string(o.App),
		Subject: o.Subject, Actor: o.Actor, Error: faultOf(o.Error), Result: o.Result, Canceling: o.Cancel && !o.State.Ended(),
		CreatedAt: o.Created, StartedAt: o.Started, EndedAt: o.Ended,
	}
}

func progressOf(p operation.Progress) client.Progress {
	return client.Progress{
		Seq: p.Seq, Time: p.Time, Step: p.Step, Status: string(p.Status), Text: p.Text, Took: client.Duration(p.Took), Data: p.Data,
	}
}

func orgOf(o app.Org) client.Org {
	return client.Org{ID: string(o.ID), Name: o.Name, CreatedAt: o.Created}
}

func spaceOf(org app.Org) func(app.Space) client.Space {
	return func(s app.Space) client.Space {
		return client.Space{ID: string(s.ID), Org: org.Name, Name: s.Name, AllowRoot: s.AllowRoot, CreatedAt: s.Created}
	}
}

func userOf(u auth.User) client.User {
	return client.User{ID: string(u.ID), Name: u.Name, CreatedAt: u.Created}
}

func apiTokenOf(t auth.APIToken) client.APIToken {
	return client.APIToken{ID: t.ID, Name: t.Name, CreatedAt: t.Created, ExpiresAt: t.Expires}
}

func tokensOf(t auth.Tokens) client.Tokens {
	return client.Tokens{AccessToken: t.Access.Reveal(), RefreshToken: t.Refresh.Reveal(), ExpiresAt: t.Expires}
}

func releaseOf(r release.Release) client.Release {
	return client.Release{
		ID: string(r.ID), Number: r.Number, Name: r.Name(), Image: r.Image.String(), Snapshot: r.Snapshot,
		Env: r.Env, Secrets: r.Secrets, Processes: each(r.Processes, processOf), Reason: r.Reason, By: r.By, CreatedAt: r.Created,
	}
}

func processOf(p app.Process) client.Process {
	h := p.Health
	return client.Process{
		Type: p.Type, Command: p.Command, Port: p.Port, MemoryMiB: p.MemoryMiB, DiskMiB: p.DiskMiB, CPUMilli: p.CPUMilli, PIDs: p.PIDs,
		Check: client.Check{
			Type: string(h.Check), Path: h.Path, StartTimeout: client.Duration(h.StartTimeout),
			Interval: client.Duration(h.Interval), Timeout: client.Duration(h.Timeout), Failures: h.Failures,
		},
		StopGrace: client.Duration(p.StopGrace),
	}
}

func settingsOf(o app.Overrides) client.ProcessSettings {
	return client.ProcessSettings{
		Command: o.Command, MemoryMiB: o.MemoryMiB, DiskMiB: o.DiskMiB, CPUMilli: o.CPUMilli, Check: string(o.Check), Path: o.Path,
		StartTimeout: client.Duration(o.StartTimeout), StopGrace: client.Duration(o.StopGrace), Interval: client.Duration(o.Interval), Timeout: client.Duration(o.Timeout), Metrics: client.MetricsOf(o.Metrics.Path, o.Metrics.Port, o.Metrics.Interval.Std()),
	}
}

func overridesOf(p client.ProcessSettings) app.Overrides {
	return app.Overrides{
		Command: p.Command, MemoryMiB: p.MemoryMiB, DiskMiB: p.DiskMiB, CPUMilli: p.CPUMilli, Check: app.CheckType(p.Check), Path: p.Path,
		StartTimeout: app.Duration(p.StartTimeout), StopGrace: app.Duration(p.StopGrace), Interval: app.Duration(p.Interval), Timeout: app.Duration(p.Timeout), Metrics: metricsOf(p.Metrics),
	}
}

func metricsOf(m *client.Metrics) app.Metrics {
	if m == nil {
		return app.Metrics{}
	}
	return app.Metrics{Path: m.Path, Port: m.Port, Interval: app.Duration(m.Interval)}
}

func instanceOf(i run.Instance) client.Instance {
	out := client.Instance{
		ID: string(i.ID), Index: i.Index, State: string(i.State), Since: i.Since, Started: i.Started, Restarts: i.Restarts,
	}
	if e := i.LastExit; e != nil {
		out.LastExit = &client.Exit{Code: e.Code, Signal: e.Signal, OOM: e.OOM, Reason: e.Reason, LastLines: e.LastLines, At: e.At}
	}
	return out
}

func snapshotOf(n source.Snapshot) client.Snapshot {
	o := n.Origin
	return client.Snapshot{
		ID: n.ID, Digest: n.Digest, Files: n.Files, Bytes: n.Bytes, CreatedAt: n.Created,
		Origin: client.Origin{Kind: string(o.Kind), URL: o.URL, Ref: o.Ref, Commit: o.Commit, Dirty: o.Dirty, Committed: o.Committed},
	}
}

// originOf takes what a client says about its source. A URL loses what could be
// a password.
func originOf(o client.Origin) (source.Origin, error) {
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil {
			return source.Origin{}, fault.New(fault.Invalid, "origin.url", "this is not a URL")
		}
		u.User = nil
		o.URL = u.String()
	}
	kind := cmp.Or(source.Kind(o.Kind), source.Directory)
	return source.Origin{Kind: kind, URL: o.URL, Ref: o.Ref, Commit: o.Commit, Dirty: o.Dirty, Committed: max(o.Committed, 0)}, nil
}

func taskOf(t task.Task, release int) client.Task {
	return client.Task{
		ID: string(t.ID), Number: t.Number, Name: t.Name, State: string(t.State), Command: t.Command, Release: release,
		MemoryMiB: t.MemoryMiB, DiskMiB: t.DiskMiB, ExitCode: t.ExitCode, Reason: t.Reason, By: t.By,
		CreatedAt: t.Created, StartedAt: t.Started, EndedAt: t.Ended,
	}
}

func eventOf(e event.Event) client.Event {
	return client.Event{
		Seq: e.Seq, Time: e.Time, Kind: string(e.Kind), Actor: e.Actor, Space: e.Space, App: e.App, Subject: e.Subject, Detail: e.Detail,
	}
}

func lineOf(l logs.Line) client.LogLine {
	return client.LogLine{
		Cursor: l.Cursor.String(), Time: l.Time, Source: l.Source, Process: l.Process, Index: l.Index, Instance: l.Instance,
		Stream: l.Stream, Text: l.Text, Partial: l.Partial, Dropped: l.Dropped, Trace: l.Trace(),
	}
}

func foundationOf(f artifact.Foundation) client.Foundation {
	return client.Foundation{
		Name: f.Name, Ref: f.Ref.String(), Digest: f.Ref.Digest, ABI: f.ABI, Bytes: f.Bytes, Lock: f.Lock, SBOM: f.SBOM, CreatedAt: f.Created,
	}
}

func credentialOf(c vault.Credential) client.Credential {
	return client.Credential{Host: c.Host, Kind: string(c.Kind), User: c.Username, UpdatedAt: c.Updated}
}

// envOf shows a draft's environment; values that are secret are stars.
func envOf(c app.Config) client.Env {
	env := maps.Clone(c.Env)
	if env == nil {
		env = map[string]string{}
	}
	for _, name := range c.Secrets {
		env[name] = "***"
	}
	return client.Env{Env: env, Secrets: slices.Concat([]string{}, c.Secrets)}
}

// each encodes a list; none of them is an empty list.
func each[D, W any](in []D, encode func(D) W) []W {
	out := make([]W, 0, len(in))
	for _, v := range in {
		out = append(out, encode(v))
	}
	return out
}

// whole is a list that has one page.
func whole[D, W any](in []D, encode func(D) W) client.List[W] {
	return client.List[W]{Items: each(in, encode)}
}

// checkHealth holds a health check against what it needs.
func checkHealth(process string, p client.ProcessSettings) error {
	switch {
	case p.Path != "" && p.Path[0] != '/':
		return fault.New(fault.Invalid, fmt.Sprintf("processes.%s.path", process), "%q does not start with /", p.Path)
	case p.Path != "" && p.Check != "" && p.Check != string(app.CheckHTTP):
		return fault.New(fault.Invalid, fmt.Sprintf("processes.%s.path", process), "only a check of type http has a path").
			WithTry("set check to http, or leave the path out")
	}
	return nil
}
