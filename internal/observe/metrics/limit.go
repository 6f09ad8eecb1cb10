package metrics

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// Owner is whom a series counts for: an app, or a space where it names none.
// What belongs to no space has no owner.
type Owner struct {
	Space string // id
	App   string // name
}

func ownerOf(l labels.Labels) Owner { return Owner{l.Get(LabelSpaceID), l.Get(LabelApp)} }

// Limited says that an owner's new series are refused.
type Limited struct {
	Owner   Owner
	Setting string // which limit: "metrics.series_per_app" or "metrics.series"
	Limit   int
	Refused uint64 // samples so far
}

// Own is how the names of naru's own metrics begin. Nobody else can write them.
const Own = "naru_"

// tellAgain is how long an owner that was told of a limit is left alone.
const tellAgain = 24 * time.Hour

// errSeries refuses one more series.
var errSeries = errors.New("too many series")

// limits counts series where they are made and let go of: in the database.
type limits struct {
	all, perApp int

	mu      sync.Mutex // guards what follows
	begun   bool       // what was there when the database was opened has been let in
	total   int
	owners  map[Owner]int
	refused map[Owner]*refusals
}

type refusals struct {
	setting string
	limit   int
	samples uint64
	told    time.Time
}

func newLimits(all, perApp int) *limits {
	return &limits{all: all, perApp: perApp, owners: map[Owner]int{}, refused: map[Owner]*refusals{}}
}

func (l *limits) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun, l.total = false, 0
	clear(l.owners)
}

func (l *limits) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = true
}

// PreCreation refuses a series that is one too many. What naru itself measures
// has a quarter more room in all, and counts for no app: a release must be seen
// however many series its app makes.
func (l *limits) PreCreation(series labels.Labels) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun {
		return nil
	}
	own, owner := strings.HasPrefix(series.Get(model.MetricNameLabel), Own), ownerOf(series)
	switch {
	case own && l.total >= l.all+l.all/4, !own && l.total >= l.all:
		l.refuse(owner, "metrics.series", l.all)
		return errSeries
	case !own && l.owners[owner] >= l.perApp:
		l.refuse(owner, "metrics.series_per_app", l.perApp)
		return errSeries
	}
	return nil
}

// maxRefused bounds the owners whose refusals are remembered.
const maxRefused = 10_000

func (l *limits) refuse(o Owner, setting string, limit int) {
	r := l.refused[o]
	if r == nil {
		if len(l.refused) >= maxRefused {
			return
		}
		r = &refusals{}
		l.refused[o] = r
	}
	r.setting, r.limit = setting, limit
	r.samples++
}

// PostCreation counts a series.
func (l *limits) PostCreation(series labels.Labels) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if !strings.HasPrefix(series.Get(model.MetricNameLabel), Own) {
		l.owners[ownerOf(series)]++
	}
}

// PostDeletion counts series no more.
func (l *limits) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, series := range gone {
		l.total--
		if strings.HasPrefix(series.Get(model.MetricNameLabel), Own) {
			continue
		}
		o := ownerOf(series)
		if l.owners[o]--; l.owners[o] <= 0 {
			delete(l.owners, o)
		}
	}
}

// news are the owners who have not been told lately.
func (l *limits) news(now time.Time) (out []Limited) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for o, r := range l.refused {
		if !r.told.IsZero() && now.Sub(r.told) < tellAgain && !now.Before(r.told) {
			continue
		}
		if l.owners[o] < l.perApp && l.total < l.all { // there has been room since
			delete(l.refused, o)
			continue
		}
		r.told = now
		out = append(out, Limited{o, r.setting, r.limit, r.samples})
	}
	return out
}

// tell says who is over a limit, to each once.
func (s *Store) tell(ctx context.Context) {
	for _, l := range s.limits.news(s.o.Now()) {
		s.log.WarnContext(ctx, "series refused", "space", l.Owner.Space, "app", l.Owner.App, "limit", l.Limit, "setting", l.Setting)
		if s.o.Limited != nil {
			s.o.Limited(ctx, l)
		}
	}
}
