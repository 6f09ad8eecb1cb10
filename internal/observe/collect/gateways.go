package collect

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/observe/meter"
	"naru/internal/observe/metrics"
	"naru/internal/route"
)

// linger is how long a pair that is in no table any more, and counts nothing, is
// written.
const linger = 5 * time.Minute

// gateways makes counters of what the gateways counted. It adds up how much each
// pair grew, so that one that is forgotten takes nothing away from a sum.
type gateways struct {
	last   map[[2]string]seen // by route and group, ids
	pairs  map[string]*counts // by their labels
	groups map[string]*counts
	before time.Time // the last round, at first when counting began
}

// seen is a pair as it was in the last round.
type seen struct {
	total   route.Counter
	of      []labels.Label // of the pair
	group   []labels.Label // the same without the route
	named   bool
	changed time.Time
}

// counts is what one set of labels has counted, and its series.
type counts struct {
	total  route.Counter
	of     []labels.Label
	round  time.Time // in which it was last asked for
	series map[string]*metrics.Series
}

func newGateways(began time.Time) *gateways {
	return &gateways{before: began, last: map[[2]string]seen{}, pairs: map[string]*counts{}, groups: map[string]*counts{}}
}

// round makes the points of a round.
func (g *gateways) round(at time.Time, totals []route.Counter, dir meter.Directory, groups []Group) []metrics.Point {
	named := make(map[string]*Group, len(groups))
	for i := range groups {
		named[string(groups[i].ID)] = &groups[i]
	}
	for _, c := range g.pairs {
		c.total.Active = 0
	}
	present := make(map[[2]string]bool, len(totals))
	for i := range totals {
		key := [2]string{totals[i].Route, totals[i].Group}
		had, there := g.last[key]
		now := seen{total: totals[i], of: had.of, group: had.group, named: had.named, changed: had.changed}
		place, known := dir(key[0], key[1])
		if name := totals[i].Name; !known && name != "" {
			place.Group = name
		}
		if known && !had.named || !there {
			now.of, now.group, now.named = pairLabels(place, named[strings.TrimSuffix(key[1], route.Copies)], known)
		}
		grown := meter.Grown(now.total, had.total)
		if grown.Requests() > 0 || grown.Sent > 0 || grown.Received > 0 || grown.Retries > 0 || grown.Ejections > 0 || known || now.total.Active > 0 {
			now.changed = at
		}
		present[key] = true
		g.last[key] = now
		if at.Sub(now.changed) > linger {
			continue
		}
		pair := g.of(g.pairs, now.of, at)
		meter.Sum(&pair.total, grown)
		pair.total.Active += max(now.total.Active, 0)
		meter.Sum(&g.of(g.groups, now.group, at).total, grown)
	}
	for key := range g.last {
		if !present[key] {
			delete(g.last, key)
		}
	}
	points := make([]metrics.Point, 0, 6*len(g.pairs)+24*len(g.groups))
	points = g.write(points, g.pairs, at, (*counts).pairPoints)
	points = g.write(points, g.groups, at, (*counts).groupPoints)
	g.before = at
	return points
}

// of finds the counts of labels, or makes them.
func (g *gateways) of(all map[string]*counts, of []labels.Label, at time.Time) *counts {
	key := keyOf(of)
	c := all[key]
	if c == nil {
		c = &counts{of: of, series: map[string]*metrics.Series{}}
		all[key] = c
	}
	c.round = at
	return c
}

// write adds the points of all that was asked for, and forgets the rest.
func (g *gateways) write(points []metrics.Point, all map[string]*counts, at time.Time, make func(*counts, []metrics.Point, time.Time) []metrics.Point) []metrics.Point {
	for key, c := range all {
		if !c.round.Equal(at) {
			delete(all, key)
			continue
		}
		points = make(c, points, g.before)
	}
	return points
}

// point adds one. A counter that is new was nought in the round before: without
// that its first increase would not be seen.
func (c *counts) point(points []metrics.Point, before time.Time, counter bool, value float64, name string, more ...string) []metrics.Point {
	key := name
	if len(more) > 0 {
		key += "\x00" + more[1]
	}
	s := c.series[key]
	p := metrics.Point{Series: s, Value: value}
	if s == nil {
		p.Series = series(name, c.of, more...)
		c.series[key] = p.Series
		if counter {
			p.Born = before.UnixMilli()
		}
	}
	return append(points, p)
}

// classes are the values of the label class; none is a request that its client
// left before there was an answer.
var classes = [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

func (c *counts) pairPoints(points []metrics.Point, before time.Time) []metrics.Point {
	for i, n := range c.total.Classes {
		if n > 0 {
			points = c.point(points, before, true, float64(n), "naru_gateway_requests_total", "class", classes[i])
		}
	}
	points = c.point(points, before, true, float64(c.total.Received), "naru_gateway_request_bytes_total")
	points = c.point(points, before, true, float64(c.total.Sent), "naru_gateway_response_bytes_total")
	points = c.point(points, before, false, float64(c.total.Active), "naru_gateway_active_requests")
	if c.total.Retries > 0 {
		points = c.point(points, before, true, float64(c.total.Retries), "naru_gateway_retries_total")
	}
	if c.total.Ejections > 0 {
		points = c.point(points, before, true, float64(c.total.Ejections), "naru_gateway_ejections_total")
	}
	return points
}

// bounds are the upper bounds of the histogram, as labels have them.
var bounds = func() (out [len(route.LatencyBounds) + 1]string) {
	for i, b := range route.LatencyBounds {
		out[i] = labels.FormatOpenMetricsFloat(b.Seconds())
	}
	out[len(out)-1] = "+Inf"
	return out
}()

// duration is the histogram's name.
const duration = "naru_gateway_request_duration_seconds"

func (c *counts) groupPoints(points []metrics.Point, before time.Time) []metrics.Point {
	const name = duration
	var all uint64
	for i, n := range c.total.Latency {
		all += n
		points = c.point(points, before, true, float64(all), name+"_bucket", labels.BucketLabel, bounds[i])
	}
	points = c.point(points, before, true, float64(all), name+"_count")
	return c.point(points, before, true, c.total.Took.Seconds(), name+"_sum")
}

// pairLabels are the labels of a pair, and those of its group over all routes.
func pairLabels(p meter.Place, of *Group, known bool) (pair, group []labels.Label, named bool) {
	org, space, _ := strings.Cut(p.In.Name, "/")
	where := Place{Org: org, Space: space, SpaceID: string(p.In.Space), App: p.App}
	group = where.Labels()
	if of != nil {
		group = of.Labels()[:len(of.Place.Labels())+2]
	}
	if p.Group != "" {
		group = append(group, labels.Label{Name: metrics.LabelGroup, Value: p.Group})
	}
	pair = group[:len(group):len(group)]
	if p.Route != "" {
		pair = append(pair, labels.Label{Name: metrics.LabelRoute, Value: p.Route})
	}
	return pair, group, known
}

// number is an instance's place as a label.
func number(n int) string { return strconv.Itoa(n) }
