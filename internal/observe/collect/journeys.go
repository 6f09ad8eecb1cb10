package collect

import (
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/observe/metrics"
	"naru/internal/route"
)

// Names of the series of journeys, and of their labels.
const (
	JourneyRequests = "naru_journey_requests_total"
	JourneyWithin   = "naru_journey_requests_within_total"
	LabelJourney    = "journey" // as text, or route.AllJourneys
	LabelStatus     = "status"  // 2xx, 404, none
)

// journeys makes counters of what the gateways counted of journeys, as gateways
// does of pairs: by how much each grew.
type journeys struct {
	last   map[string]walked // by route.JourneyCounter.Key
	cells  map[cell]*count
	before time.Time
}

// walked is a counter as it was in the last round.
type walked struct {
	cells   []uint64
	of      []labels.Label
	named   bool // its group was there, so the labels are whole
	changed time.Time
}

// cell is one series by what tells it apart.
type cell struct {
	app, group, journey, status, within string
}

type count struct {
	value   uint64
	series  *metrics.Series
	changed time.Time
}

func newJourneys(began time.Time) *journeys {
	return &journeys{last: map[string]walked{}, cells: map[cell]*count{}, before: began}
}

// round makes the points of a round.
func (j *journeys) round(at time.Time, totals []route.JourneyCounter, groups []Group, apps map[string]Place) []metrics.Point {
	named := make(map[string]*Group, len(groups))
	for i := range groups {
		named[string(groups[i].ID)] = &groups[i]
	}
	born := map[cell]bool{}
	present := make(map[string]bool, len(totals))
	for _, c := range totals {
		key := c.Key()
		present[key] = true
		had, there := j.last[key]
		now := walked{cells: c.Cells, of: had.of, named: had.named, changed: had.changed}
		g := named[c.Group]
		if g != nil && !had.named || !there {
			now.of, now.named = apps[c.App].Labels(), g != nil || c.Group == ""
			if g != nil {
				now.of = g.Labels()
			}
		}
		if len(had.cells) != len(c.Cells) || shrunk(c.Cells, had.cells) {
			had.cells = make([]uint64, len(c.Cells))
		}
		if g != nil || c.Group == "" && apps[c.App].App != "" {
			now.changed = at
		}
		width := 1 + len(c.Within)
		for i, n := range c.Cells {
			if n > had.cells[i] {
				now.changed = at
			}
			if n == 0 {
				continue
			}
			k := cell{app: c.App, group: c.Group, journey: c.Journey, status: c.Status(i / width)}
			if i%width > 0 {
				k.within = strconv.FormatFloat(c.Within[i%width-1].Std().Seconds(), 'g', -1, 64)
			}
			s := j.cells[k]
			if s == nil {
				s = &count{series: k.series(now.of)}
				j.cells[k], born[k] = s, true
			}
			s.value += n - had.cells[i]
			s.changed = now.changed
		}
		j.last[key] = now
	}
	for key := range j.last {
		if !present[key] {
			delete(j.last, key)
		}
	}
	points := make([]metrics.Point, 0, len(j.cells))
	for k, s := range j.cells {
		if at.Sub(s.changed) > linger {
			delete(j.cells, k)
			continue
		}
		p := metrics.Point{Series: s.series, Value: float64(s.value)}
		if born[k] {
			p.Born = j.before.UnixMilli()
		}
		points = append(points, p)
	}
	j.before = at
	return points
}

func shrunk(now, had []uint64) bool {
	for i, n := range now {
		if n < had[i] {
			return true
		}
	}
	return false
}

func (k cell) series(of []labels.Label) *metrics.Series {
	if k.within != "" {
		return series(JourneyWithin, of, LabelJourney, k.journey, LabelStatus, k.status, labels.BucketLabel, k.within)
	}
	return series(JourneyRequests, of, LabelJourney, k.journey, LabelStatus, k.status)
}
