package api

import (
	"cmp"
	"context"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/observe/traces"
)

// Traces finds what was kept of traces; *traces.Store does.
type Traces interface {
	Search(ctx context.Context, q traces.Query) (traces.Found, error)
	Traces(ctx context.Context, r traces.Reader, ids ...traces.ID) ([]traces.Trace, error)
	Graph(ctx context.Context, r traces.Reader, q traces.GraphQuery) (traces.Graph, error)
}

// traceRoutes are the routes about traces.
func (s *server) traceRoutes(space, one string) []Route {
	return []Route{
		{get, one + "/traces", auth.LogRead, "Find traces that an app took part in", call(s.findTraces)},
		{get, "/v1/traces/{trace}", loggedIn, "Get a trace, as far as it is of spaces whose logs one may read", call(s.getTrace)},
		{get, space + "/dependencies", auth.LogRead, "Which services of a space call which, and whom else", call(s.dependencies)},
	}
}

// traceReader is whose spans the one who asks may read.
func (s *server) traceReader(ctx context.Context) (traces.Reader, error) {
	who := requestOf(ctx).who
	if who.Admin {
		return traces.Reader{All: true}, nil
	}
	spaces, err := s.Places.Spaces(ctx, "")
	if err != nil {
		return traces.Reader{}, err
	}
	var r traces.Reader
	for _, one := range spaces {
		if auth.Can(who, auth.LogRead, one.Org, one.ID) {
			r.Spaces = append(r.Spaces, one.ID)
		}
	}
	return r, nil
}

type tracesInput struct {
	Service   string    `query:"service" maxLength:"256" doc:"a span of this service; absent: all"`
	Operation string    `query:"operation" maxLength:"256" doc:"of this operation"`
	Least     string    `query:"min_duration" maxLength:"30" doc:"that took at least so long: 500ms"`
	Most      string    `query:"max_duration" maxLength:"30" doc:"that took at most so long"`
	Error     bool      `query:"error" doc:"that failed"`
	Tags      []string  `query:"tag,explode" maxItems:"20" doc:"that has this tag: KEY=VALUE, or KEY with any value; all of them, where there are several"`
	Since     time.Time `query:"since" doc:"that started not before; absent: an hour ago"`
	Until     time.Time `query:"until" doc:"that started before"`
	Limit     int       `query:"limit" minimum:"0" maximum:"1000" doc:"traces, at most; absent: 20"`
}

// usualSpan is the time that is looked at where none is named.
const usualSpan = time.Hour

func (s *server) findTraces(ctx context.Context, in *tracesInput) (client.TraceList, error) {
	q := traces.Query{
		App: at(ctx).app.ID, Service: in.Service, Name: in.Operation, Error: in.Error, Since: in.Since, Until: in.Until, Limit: in.Limit,
	}
	var err error
	if q.Least, err = lasting("min_duration", in.Least); err != nil {
		return client.TraceList{}, err
	}
	if q.Most, err = lasting("max_duration", in.Most); err != nil {
		return client.TraceList{}, err
	}
	if q.Since.IsZero() {
		q.Since = cmp.Or(in.Until, time.Now()).Add(-usualSpan)
	}
	if !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return client.TraceList{}, fault.New(fault.Invalid, "until", "the end is not behind the start")
	}
	for _, t := range in.Tags {
		key, value, valued := strings.Cut(t, "=")
		if key == "" {
			return client.TraceList{}, fault.New(fault.Invalid, "tag", "%q has no key", t).WithTry("http.request.method=GET")
		}
		q.Tags = append(q.Tags, traces.Condition{Key: key, Value: value, Any: !valued})
	}
	if q.Reader, err = s.traceReader(ctx); err != nil {
		return client.TraceList{}, err
	}
	found, err := s.Traces.Search(ctx, q)
	if err != nil {
		return client.TraceList{}, err
	}
	out := client.TraceList{Items: []client.Trace{}, More: found.More, Back: found.Back}
	for i := range found.Traces {
		out.Items = append(out.Items, traceOf(&found.Traces[i]))
	}
	return out, nil
}

func lasting(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fault.New(fault.Invalid, field, "%q is no duration", text).WithTry("500ms, 2s")
	}
	return d, nil
}

type traceInput struct {
	Trace string `path:"trace" maxLength:"100" doc:"id of the trace: 16 or 32 hexadecimal digits, or a traceparent"`
}

func (s *server) getTrace(ctx context.Context, in *traceInput) (client.TraceDetail, error) {
	id, err := traces.ParseID("trace", in.Trace)
	if err != nil {
		return client.TraceDetail{}, err
	}
	r, err := s.traceReader(ctx)
	if err != nil {
		return client.TraceDetail{}, err
	}
	all, err := s.Traces.Traces(ctx, r, id)
	if err != nil {
		return client.TraceDetail{}, err
	}
	if len(all) == 0 {
		return client.TraceDetail{}, fault.New(fault.NotFound, "trace", "there is no trace %s", id).
			WithTry("naru traces APP; only a share of requests is traced (traces.sample), and spans come some seconds late")
	}
	t := &all[0]
	out := client.TraceDetail{Trace: traceOf(t), Over: t.Over, Tree: make([]client.Span, len(t.Spans))}
	for i := range t.Spans {
		out.Tree[i] = spanOf(&t.Spans[i])
	}
	return out, nil
}

func traceOf(t *traces.Trace) client.Trace {
	sum := t.Summary()
	out := client.Trace{ID: sum.ID.String(), Start: sum.Start, Took: client.Duration(sum.Took), Spans: sum.Spans, Errors: sum.Errors, Services: []client.TraceService{}}
	if sum.Root != nil {
		out.Service, out.Operation = sum.Root.Service, sum.Root.Name
	}
	for _, p := range sum.Services {
		out.Services = append(out.Services, client.TraceService{Service: p.Service, Spans: p.Spans, Errors: p.Errors})
	}
	return out
}

func spanOf(s *traces.Span) client.Span {
	out := client.Span{
		ID: s.ID.String(), Parent: s.Parent.String(), Service: s.Service, Operation: s.Name, Kind: s.Kind.String(), Remote: s.Remote, Instance: s.Owner.Instance,
		Start: s.Start, Took: client.Duration(s.Took), Error: s.Error, Message: s.Message, Shared: s.Shared, Tags: tagsOf(s.Tags),
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, client.SpanEvent{Time: e.Time, Name: e.Name, Tags: tagsOf(e.Tags)})
	}
	for _, l := range s.Links {
		out.Links = append(out.Links, client.SpanLink{Trace: l.Trace.String(), Span: l.Span.String()})
	}
	return out
}

func tagsOf(all []traces.Tag) map[string]string {
	if len(all) == 0 {
		return nil
	}
	out := make(map[string]string, len(all))
	for _, t := range all {
		if _, first := out[t.Key]; !first {
			out[t.Key] = t.Value
		}
	}
	return out
}

type dependenciesInput struct {
	App   string    `query:"app" maxLength:"255" doc:"only calls from and to this app; absent: of all apps of the space"`
	Since time.Time `query:"since" doc:"calls that started not before; absent: an hour before until"`
	Until time.Time `query:"until" doc:"calls that started before; absent: now"`
}

func (s *server) dependencies(ctx context.Context, in *dependenciesInput) (client.Dependencies, error) {
	q := traces.GraphQuery{Space: at(ctx).space.ID, Since: in.Since, Until: in.Until}
	if in.App != "" {
		a, err := s.Apps.AppNamed(ctx, q.Space, in.App)
		if err != nil {
			return client.Dependencies{}, err
		}
		q.App = app.ID(a.ID)
	}
	if q.Until.IsZero() {
		q.Until = time.Now()
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-usualSpan)
	}
	if !q.Since.Before(q.Until) {
		return client.Dependencies{}, fault.New(fault.Invalid, "until", "the end is not behind the start")
	}
	r, err := s.traceReader(ctx)
	if err != nil {
		return client.Dependencies{}, err
	}
	g, err := s.Traces.Graph(ctx, r, q)
	if err != nil {
		return client.Dependencies{}, err
	}
	out := client.Dependencies{Since: q.Since, Until: q.Until, Spans: g.Spans, Over: g.Over, Items: []client.Dependency{}}
	seconds := q.Until.Sub(q.Since).Seconds()
	for _, c := range g.Calls {
		out.Items = append(out.Items, client.Dependency{
			From: c.From, To: c.To, Calls: c.Calls, Errors: c.Errors, Share: float64(c.Errors) / float64(c.Calls), Rate: float64(c.Calls) / seconds,
			Mean: client.Duration(c.Took / time.Duration(c.Calls)), Slowest: client.Duration(c.Slowest),
		})
	}
	return out, nil
}
