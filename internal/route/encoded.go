package route

import "naru/internal/route/encode"

// AppendJSON appends the record as encoding/json would: there is one for each
// request.
func (a *Access) AppendJSON(b []byte) []byte {
	o := encode.Object{B: b}
	o.Begin()
	o.Time("time", a.Time)
	o.String("request_id", a.RequestID)
	o.String("client", a.Client)
	o.String("method", a.Method)
	o.String("host", a.Host)
	o.String("uri", a.URI)
	o.String("proto", a.Proto)
	o.StringIf("agent", a.Agent)
	o.StringIf("referer", a.Referer)
	o.Int("status", int64(a.Status))
	o.Int("received", a.Received)
	o.Int("sent", a.Sent)
	o.Int("took", int64(a.Took))
	o.Int("header", int64(a.Header))
	o.StringIf("route", a.Route)
	a.App.encode(&o)
	o.StringIf("group", a.Group)
	o.StringIf("instance", a.Instance)
	o.Int("index", int64(a.Index))
	o.StringIf("upstream", a.Upstream)
	o.Int("attempts", int64(a.Attempts))
	if a.Upgrade {
		o.True("upgrade")
	}
	o.StringIf("problem", a.Problem)
	o.StringIf("trace", a.Trace)
	o.End()
	return o.B
}

// AppendJSON appends the span as encoding/json would.
func (s *Span) AppendJSON(b []byte) []byte {
	o := encode.Object{B: b}
	o.Begin()
	o.String("trace", s.Trace)
	o.StringIf("parent", s.Parent)
	o.String("id", s.ID)
	o.Time("start", s.Start)
	o.Int("took", int64(s.Took))
	s.App.encode(&o)
	o.StringIf("route", s.Route)
	o.StringIf("group", s.Group)
	o.StringIf("instance", s.Instance)
	o.Int("index", int64(s.Index))
	o.String("method", s.Method)
	o.String("host", s.Host)
	o.String("path", s.Path)
	o.Int("status", int64(s.Status))
	o.StringIf("error", s.Error)
	if s.Retries != 0 {
		o.Int("retries", int64(s.Retries))
	}
	o.End()
	return o.B
}

func (a *App) encode(o *encode.Object) {
	o.Inside("app")
	o.String("id", a.ID)
	o.String("name", a.Name)
	o.End()
}
