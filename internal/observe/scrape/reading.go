package scrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"naru/internal/observe/metrics"
)

// maxTimeout bounds one question, whatever the interval.
const maxTimeout = 10 * time.Second

// accept are the formats that are read, the best first.
const accept = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"

// reading is what is known of one instance's metrics.
type reading struct {
	target Target
	store  *metrics.Store
	source *metrics.Source
	ours   []labels.Label
	series map[string]*known // as the app writes them
	round  uint64

	up, took, samples *metrics.Series
}

// known is a series and when it was last there.
type known struct {
	*metrics.Series // nil: its labels cannot be kept
	round           uint64
}

func newReading(store *metrics.Store, t Target) *reading {
	r := &reading{
		target: t, store: store, source: store.Source(), series: map[string]*known{},
		ours: append(t.Labels(), labels.Label{Name: metrics.LabelIndex, Value: strconv.Itoa(t.Instance.Index)}),
	}
	of := func(name string) *metrics.Series {
		b := labels.NewBuilder(labels.FromStrings(model.MetricNameLabel, name))
		for _, l := range r.ours {
			b.Set(l.Name, l.Value)
		}
		return &metrics.Series{Labels: b.Labels()}
	}
	r.up, r.took, r.samples = of("up"), of("scrape_duration_seconds"), of("scrape_samples_scraped")
	return r
}

// round asks once and keeps what was answered, also that nothing was.
func (s *Scraper) round(ctx context.Context, r *reading, interval time.Duration, at time.Time) error {
	asking, stop := context.WithTimeout(ctx, min(interval, maxTimeout))
	text, kind, err := s.ask(asking, r.target)
	stop()
	var points []metrics.Point
	if err == nil {
		points, err = r.read(text, kind)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	up := 1.0
	if err != nil {
		points, up = nil, 0
	}
	n := len(points)
	points = append(points,
		metrics.Point{Series: r.up, Value: up}, metrics.Point{Series: r.took, Value: time.Since(at).Seconds()}, metrics.Point{Series: r.samples, Value: float64(n)})
	_, werr := r.source.Write(ctx, at, points)
	return errors.Join(err, werr)
}

// address is where an instance shows its metrics.
func address(t Target) (string, error) {
	addr, err := netip.ParseAddrPort(t.Instance.Addr)
	if err != nil {
		return "", errors.New("the instance has no address")
	}
	port := t.Metrics.Port
	if port == 0 {
		return addr.String(), nil
	}
	// Without a network of its own any port of the machine could be meant.
	if addr.Addr().IsLoopback() && port != int(addr.Port()) {
		return "", fmt.Errorf("port %d cannot be asked: instances of this driver have only the port they are given", port)
	}
	return net.JoinHostPort(addr.Addr().String(), strconv.Itoa(port)), nil
}

// ask gets what an instance shows.
func (s *Scraper) ask(ctx context.Context, t Target) (text []byte, kind string, err error) {
	host, err := address(t)
	if err != nil {
		return nil, "", err
	}
	u, err := url.Parse("http://" + host + t.Metrics.Path)
	if err != nil || u.Host != host {
		return nil, "", fmt.Errorf("%q is no path", t.Metrics.Path)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "naru")
	res, err := s.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("GET %s answers %s", t.Metrics.Path, res.Status)
	}
	text, err = io.ReadAll(io.LimitReader(res.Body, s.o.Bytes+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("read metrics: %w", err)
	case int64(len(text)) > s.o.Bytes:
		return nil, "", fmt.Errorf("the answer has more than %d bytes (metrics.scrape_bytes)", s.o.Bytes)
	}
	return text, res.Header.Get("Content-Type"), nil
}

// read makes points of an answer. Times that it names are not believed: what is
// asked now is now.
func (r *reading) read(text []byte, kind string) (points []metrics.Point, err error) {
	p, err := textparse.New(text, kind, labels.NewSymbolTable(), textparse.ParserOptions{FallbackContentType: "text/plain"})
	if p == nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	r.round++
	about := map[string]metrics.Metadata{}
	for {
		what, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		switch what {
		case textparse.EntryType:
			name, is := p.Type()
			m := about[string(name)]
			m.Type = string(is)
			about[string(name)] = m
		case textparse.EntryHelp:
			name, help := p.Help()
			m := about[string(name)]
			m.Help = string(help)
			about[string(name)] = m
		case textparse.EntrySeries:
			written, _, value := p.Series()
			k := r.series[string(written)]
			if k == nil {
				k = &known{Series: r.named(p)}
				r.series[strings.Clone(string(written))] = k
			}
			if k.Series != nil && k.round != r.round { // what is there twice counts once
				points = append(points, metrics.Point{Series: k.Series, Value: value})
			}
			k.round = r.round
		}
	}
	for written, k := range r.series {
		if k.round != r.round {
			delete(r.series, written)
		}
	}
	if r.round == 1 { // what an app says of its metrics does not change while it runs
		for name, m := range about {
			r.store.Describe(r.target.SpaceID, name, m)
		}
	}
	return points, nil
}

// ourNames are metrics about asking, which an app cannot answer.
var ourNames = map[string]bool{"up": true, "scrape_duration_seconds": true, "scrape_samples_scraped": true}

// named is the series that the parser has come to; nil where it cannot be kept.
func (r *reading) named(p textparse.Parser) *metrics.Series {
	var theirs labels.Labels
	p.Labels(&theirs)
	if name := theirs.Get(model.MetricNameLabel); ourNames[name] {
		b := labels.NewBuilder(theirs)
		b.Set(model.MetricNameLabel, "exported_"+name)
		theirs = b.Labels()
	}
	l, err := metrics.Foreign(r.ours, theirs)
	if err != nil {
		return nil
	}
	return &metrics.Series{Labels: l}
}
