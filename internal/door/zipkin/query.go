package zipkin

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/observe/traces"
)

// What a search takes that does not say otherwise.
const (
	usualLimit = 10
	mostLimit  = 1000
	usualBack  = 15 * time.Minute
)

// form is what is asked.
type form struct {
	url.Values
	id string // of the path
}

func (d *Door) services(ctx context.Context, r traces.Reader, _ form) (any, error) {
	n, err := d.store.Names(ctx, r, "")
	return n.Services, err
}

func (d *Door) names(ctx context.Context, r traces.Reader, f form) (any, error) {
	n, err := d.store.Names(ctx, r, f.Get("serviceName"))
	if f.Get("serviceName") == "" {
		return []string{}, err
	}
	return n.Names, err
}

func (d *Door) remotes(ctx context.Context, r traces.Reader, f form) (any, error) {
	n, err := d.store.Names(ctx, r, f.Get("serviceName"))
	if f.Get("serviceName") == "" {
		return []string{}, err
	}
	return n.Remotes, err
}

func (d *Door) keys(ctx context.Context, r traces.Reader, _ form) (any, error) {
	all, err := d.store.Tags(ctx, r)
	if err != nil {
		return nil, err
	}
	return sortedKeys(all), nil
}

func (d *Door) values(ctx context.Context, r traces.Reader, f form) (any, error) {
	if f.Get("key") == "" {
		return nil, fault.New(fault.Invalid, "key", "say of which key")
	}
	all, err := d.store.Tags(ctx, r)
	if values := all[f.Get("key")]; values != nil {
		return values, err
	}
	return []string{}, err
}

func (d *Door) search(ctx context.Context, r traces.Reader, f form) (any, error) {
	q := traces.Query{Reader: r, Service: f.Get("serviceName"), Name: f.Get("spanName"), Remote: f.Get("remoteServiceName")}
	for _, all := range []*string{&q.Service, &q.Name} {
		if *all == "all" { // older user interfaces
			*all = ""
		}
	}
	conditions(f.Get("annotationQuery"), &q)
	var err error
	if q.Since, q.Until, err = f.window(); err != nil {
		return nil, err
	}
	for name, to := range map[string]*time.Duration{"minDuration": &q.Least, "maxDuration": &q.Most} {
		us, err := f.number(name, 0)
		if err != nil {
			return nil, err
		}
		*to = time.Duration(us) * time.Microsecond
	}
	limit, err := f.number("limit", usualLimit)
	if err != nil {
		return nil, err
	}
	q.Limit = int(min(max(1, limit), mostLimit))
	found, err := d.store.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	return asJSON(found.Traces), nil
}

// conditions reads Zipkin's query on tags and annotations: "http.method=GET and
// error".
func conditions(text string, q *traces.Query) {
	for one := range strings.SplitSeq(text, " and ") {
		key, value, valued := strings.Cut(strings.TrimSpace(one), "=")
		switch {
		case key == "":
		case key == "error" && !valued:
			q.Error = true
		default:
			q.Tags = append(q.Tags, traces.Condition{Key: key, Value: value, Any: !valued})
		}
	}
}

// window is the time that is asked for: lookback milliseconds until endTs.
func (f form) window() (since, until time.Time, err error) {
	end, err := f.number("endTs", time.Now().UnixMilli())
	if err != nil {
		return since, until, err
	}
	back, err := f.number("lookback", usualBack.Milliseconds())
	if err != nil {
		return since, until, err
	}
	until = time.UnixMilli(end).Add(time.Millisecond)
	return until.Add(-time.Duration(back) * time.Millisecond), until, nil
}

// number is a parameter that is no text. It is bounded so that it can be made
// nanoseconds of.
func (f form) number(name string, otherwise int64) (int64, error) {
	text := f.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<52 {
		return 0, fault.New(fault.Invalid, name, "%q is not a number", clip(text))
	}
	if name != "endTs" {
		n = min(n, int64(10*365*24*time.Hour/time.Millisecond))
	}
	return n, nil
}

func (d *Door) trace(ctx context.Context, r traces.Reader, f form) (any, error) {
	id, err := traces.ParseID("traceId", f.id)
	if err != nil {
		return nil, err
	}
	all, err := d.store.Traces(ctx, r, id)
	if err == nil && len(all) == 0 {
		err = fault.New(fault.NotFound, "traceId", "there is no trace %s", id)
	}
	if err != nil {
		return nil, err
	}
	return asJSON(all)[0], nil
}

func (d *Door) many(ctx context.Context, r traces.Reader, f form) (any, error) {
	var ids []traces.ID
	for text := range strings.SplitSeq(f.Get("traceIds"), ",") {
		id, err := traces.ParseID("traceIds", text)
		if err != nil {
			return nil, err
		}
		if ids = append(ids, id); len(ids) > mostLimit {
			return nil, fault.New(fault.TooLarge, "traceIds", "at most %d traces at once", mostLimit)
		}
	}
	all, err := d.store.Traces(ctx, r, ids...)
	if err != nil {
		return nil, err
	}
	return asJSON(all), nil
}

// link is how one service called another, in Zipkin's form.
type link struct {
	Parent string `json:"parent"`
	Child  string `json:"child"`
	Calls  int64  `json:"callCount"`
	Errors int64  `json:"errorCount"`
}

func (d *Door) dependencies(ctx context.Context, r traces.Reader, f form) (any, error) {
	if f.Get("endTs") == "" {
		return nil, fault.New(fault.Invalid, "endTs", "say until when, in milliseconds since 1970")
	}
	if f.Get("lookback") == "" {
		f.Set("lookback", strconv.FormatInt((24*time.Hour).Milliseconds(), 10))
	}
	since, until, err := f.window()
	if err != nil {
		return nil, err
	}
	g, err := d.store.Graph(ctx, r, traces.GraphQuery{Since: since, Until: until})
	out := []link{}
	for _, c := range g.Calls {
		out = append(out, link{c.From, c.To, c.Calls, c.Errors})
	}
	return out, err
}

func clip(s string) string {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
