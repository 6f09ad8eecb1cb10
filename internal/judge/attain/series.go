package attain

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"naru/internal/app"
	"naru/internal/judge/objective"
	"naru/internal/observe/collect"
	"naru/internal/observe/metrics"
	"naru/internal/observe/probing"
	"naru/internal/route"
)

// series is a source of counters that naru writes itself. Of a counter each sample
// tells how many events there were since the one before it, and they count as having
// happened when it was taken: a time has the samples after its begin, up to its end.
type series struct {
	store  Store
	place  Place
	text   string // what is counted
	names  []string
	others []*labels.Matcher
	// sort says what the events of a series are.
	sort func(l labels.Labels) (good, total bool)
}

// requests counts requests of an app, or of one of its journeys.
func requests(store Store, p Place, o app.Objective, j app.Journey) series {
	s := series{store: store, place: p}
	named := func(status string) (good, counts bool) { return !says(o.Bad, status), !says(o.Excluded, status) }
	if o.Kind == app.Throughput {
		named = func(status string) (good, counts bool) { return true, !says(o.Excluded, status) }
	}
	s.text = strings.Join([]string{p.SpaceID, p.App, string(o.Kind), o.Threshold.String(), fmt.Sprint(o.Bad), fmt.Sprint(o.Excluded), route.JourneyName(j)}, "\x00")
	if route.JourneyName(j) == route.AllJourneys && len(route.CountedBy([]app.Objective{withoutJourneys(o)})) == 0 {
		s.names = []string{"naru_gateway_requests_total"}
		s.others = []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotRegexp, metrics.LabelGroup, ".*"+route.Copies)}
		s.sort = func(l labels.Labels) (good, total bool) {
			good, total = named(l.Get("class"))
			return good && total, total
		}
		return s
	}
	s.names = []string{collect.JourneyRequests}
	s.others = []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, collect.LabelJourney, route.JourneyName(j))}
	if o.Kind != app.Latency {
		s.sort = func(l labels.Labels) (good, total bool) {
			good, total = named(l.Get(collect.LabelStatus))
			return good && total, total
		}
		return s
	}
	s.names = append(s.names, collect.JourneyWithin)
	within := strconv.FormatFloat(o.Threshold.Std().Seconds(), 'g', -1, 64)
	s.sort = func(l labels.Labels) (good, total bool) {
		fine, counts := named(l.Get(collect.LabelStatus))
		if l.Get(model.MetricNameLabel) == collect.JourneyRequests {
			return false, counts
		}
		return fine && counts && l.Get(labels.BucketLabel) == within, false
	}
	return s
}

func withoutJourneys(o app.Objective) app.Objective {
	o.Journeys = nil
	return o
}

// says reports that a status as series have it is one of those that are named: a
// class has all of its statuses, also those that are counted by themselves.
func says(named []string, status string) bool {
	for _, n := range named {
		if n == status || len(n) == 3 && n[1:] == "xx" && len(status) == 3 && status != "none" && n[0] == status[0] {
			return true
		}
	}
	return false
}

// probed counts the runs of a probe.
func probed(store Store, p Place, o app.Objective) series {
	return series{
		store: store, place: p, text: strings.Join([]string{p.SpaceID, p.App, "probe", o.Probe}, "\x00"), names: []string{probing.Runs},
		others: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, probing.LabelProbe, o.Probe)},
		sort:   func(l labels.Labels) (good, total bool) { return l.Get(probing.LabelOutcome) == "good", true },
	}
}

func (s series) key() string { return s.text }

func (s series) adds() bool { return true }

func (s series) over(ctx context.Context, from, to time.Time) (objective.Count, error) {
	var out objective.Count
	err := s.read(ctx, from, to, func(_ int64, good, total float64) {
		out.Good, out.Total = out.Good+good, out.Total+total
	})
	return out, err
}

func (s series) each(ctx context.Context, from time.Time, n int, length time.Duration) ([]objective.Count, error) {
	out := make([]objective.Count, n)
	begin, step := from.UnixMilli(), length.Milliseconds()
	err := s.read(ctx, from, from.Add(time.Duration(n)*length), func(at int64, good, total float64) {
		slot := &out[min(int((at-begin-1)/step), n-1)] // after its begin, up to its end
		slot.Good, slot.Total = slot.Good+good, slot.Total+total
	})
	return out, err
}

// read tells of each increase after from, up to to.
func (s series) read(ctx context.Context, from, to time.Time, tell func(at int64, good, total float64)) error {
	in := s.store.As(metrics.Reader{Spaces: []string{s.place.SpaceID}})
	for _, name := range s.names {
		counters := metrics.Counters{
			Matchers: append([]*labels.Matcher{
				labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name),
				labels.MustNewMatcher(labels.MatchEqual, metrics.LabelApp, s.place.App),
			}, s.others...),
			Keep: func(l labels.Labels) bool {
				good, total := s.sort(l)
				return good || total
			},
		}
		err := metrics.Increases(ctx, in, counters, from, to, func(l labels.Labels, at int64, by float64) {
			if by > 0 {
				good, total := s.sort(l)
				tell(at, share(good, by), share(total, by))
			}
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	return nil
}

func share(is bool, n float64) float64 {
	if is {
		return n
	}
	return 0
}
