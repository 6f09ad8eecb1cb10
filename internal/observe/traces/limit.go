package traces

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"naru/internal/size"
)

// Taken says what became of spans.
type Taken struct {
	Kept    int
	Refused int
	Why     string // the first reason to refuse one; "" where none was
}

// Limited tells that spans of an owner were refused or cut.
type Limited struct {
	Owner   Owner
	Refused int    // since the last time
	Cut     int    // kept without some of what they said
	Why     string // one of the reasons, with its setting
}

// gate lets spans pass within the limits.
type gate struct {
	o Options

	mu       sync.Mutex // guards what follows
	counted  Counted
	owners   map[Owner]*account
	swept    time.Time
	now, old map[ID]int // spans of the traces that came lately
}

// account is what is known of an owner.
type account struct {
	tokens float64
	filled time.Time
	told   time.Time
	news   Limited
}

// remembered bounds the traces whose spans are counted: twice as many at most.
const remembered = 200_000

// tellEvery is how often an owner is told.
const tellEvery = time.Minute

func newGate(o Options) *gate {
	return &gate{o: o, owners: map[Owner]*account{}, now: map[ID]int{}}
}

// account of an owner; its instances share one. g.mu is held.
func (g *gate) account(of Owner, now time.Time) *account {
	of.Instance = ""
	a := g.owners[of]
	if a == nil {
		a = &account{tokens: g.burst(), filled: now, news: Limited{Owner: of}}
		g.owners[of] = a
	}
	return a
}

func (g *gate) burst() float64 { return 10 * float64(g.o.Rate) }

// pass checks spans and returns those that are kept.
func (g *gate) pass(from Owner, spans []Span, now time.Time) (kept []*Span, t Taken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
	a := g.account(from, now)
	if past := now.Sub(a.filled); past > 0 {
		a.tokens = min(g.burst(), a.tokens+past.Seconds()*float64(g.o.Rate))
	}
	a.filled = now
	kept = make([]*Span, 0, len(spans))
	for i := range spans {
		s := &spans[i]
		why := ""
		if a.tokens < 1 {
			why = fmt.Sprintf("more than %d spans a second (traces.rate)", g.o.Rate)
		} else {
			a.tokens--
			why = g.check(s, now)
		}
		if why == "" {
			why = g.fits(s)
		}
		if why == "" {
			cut, cause := g.cut(s)
			if cut {
				a.news.Cut++
				g.counted.Cut++
				a.news.Why = cause
			}
			if s.size() > g.o.SpanBytes {
				why = fmt.Sprintf("a span of %s, at most %s are kept (traces.span_bytes)", size.Text(int64(s.size())), size.Text(int64(g.o.SpanBytes)))
			}
		}
		if why != "" {
			t.Refused++
			if t.Why == "" {
				t.Why = why
			}
			a.news.Refused++
			a.news.Why = why
			continue
		}
		g.now[s.Trace]++
		kept = append(kept, s)
	}
	t.Kept = len(kept)
	g.counted.Kept += int64(t.Kept)
	g.counted.Refused += int64(t.Refused)
	return kept, t
}

// Counted are the spans that came since the start.
type Counted struct {
	Kept    int64
	Refused int64
	Cut     int64 // of the kept, those without some of what they said
}

// Counted returns what became of all spans.
func (s *Store) Counted() Counted {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return s.gate.counted
}

// longest is how long a span may take.
const longest = 7 * 24 * time.Hour

// check says what is wrong with a span; what may be missing is filled in.
func (g *gate) check(s *Span, now time.Time) string {
	switch {
	case s.Trace.IsZero():
		return "a span has no trace id"
	case s.ID.IsZero():
		return "a span has no id"
	case s.Took < 0:
		return "a span ends before it starts"
	case s.Took > longest:
		return fmt.Sprintf("a span takes more than %s", longest)
	}
	if s.Start.IsZero() || s.Start.UnixNano() == 0 { // Zipkin: half a span knows only what it heard
		s.Start = now
	}
	switch {
	case s.Start.After(now.Add(g.o.Ahead)):
		return fmt.Sprintf("a span starts more than %s from now (traces.ahead): which clock says %s?", g.o.Ahead, s.Start.UTC().Format(time.RFC3339))
	case s.Start.Before(now.AddDate(0, 0, -g.o.Days)):
		return fmt.Sprintf("a span is older than %d days (traces.days): which clock says %s?", g.o.Days, s.Start.UTC().Format(time.RFC3339))
	}
	if s.ID == s.Parent {
		s.Parent = SpanID{}
	}
	return ""
}

// fits says whether there is room in the span's trace. g.mu is held.
func (g *gate) fits(s *Span) string {
	n, ok := g.now[s.Trace]
	if !ok {
		if n = g.old[s.Trace]; n > 0 {
			g.now[s.Trace] = n
		}
	}
	if n >= g.o.SpansPerTrace {
		return fmt.Sprintf("trace %s has more than %d spans (traces.spans_per_trace)", s.Trace, g.o.SpansPerTrace)
	}
	if len(g.now) >= remembered {
		g.old, g.now = g.now, make(map[ID]int, remembered/4)
		g.now[s.Trace] = n
	}
	return ""
}

// Lengths of names and of what an error says, in bytes.
const (
	maxName    = 256
	maxMessage = 1024
)

// cut shortens what is too long, and drops what is too much.
func (g *gate) cut(s *Span) (cut bool, why string) {
	short := func(text *string, n int) {
		if len(*text) > n {
			*text, cut, why = clip(*text, n), true, fmt.Sprintf("a text of more than %d bytes is cut (traces.value_bytes)", n)
		}
		if !utf8.ValidString(*text) {
			*text = strings.ToValidUTF8(*text, "\uFFFD")
		}
	}
	many := func(n int, what string) int {
		if n > g.o.Attributes {
			cut, why = true, fmt.Sprintf("more than %d %s (traces.attributes)", g.o.Attributes, what)
			return g.o.Attributes
		}
		return n
	}
	tags := func(t []Tag) []Tag {
		t = t[:many(len(t), "attributes")]
		for i := range t {
			short(&t[i].Key, maxName)
			short(&t[i].Value, g.o.ValueBytes)
		}
		return t
	}
	short(&s.Service, maxName)
	short(&s.Name, maxName)
	short(&s.Remote, maxName)
	short(&s.Message, maxMessage)
	s.Tags = tags(s.Tags)
	s.Events = s.Events[:many(len(s.Events), "events")]
	s.Links = s.Links[:many(len(s.Links), "links")]
	for i := range s.Events {
		e := &s.Events[i]
		short(&e.Name, maxName)
		if d := e.Time.Sub(s.Start); e.Time.IsZero() || d < -longest || d > 2*longest {
			e.Time = s.Start
		}
		e.Tags = tags(e.Tags)
	}
	return cut, why
}

// tell returns what an owner is to be told now.
func (g *gate) tell(from Owner, now time.Time) (Limited, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.account(from, now)
	if a.news.Refused+a.news.Cut == 0 || now.Sub(a.told).Abs() < tellEvery {
		return Limited{}, false
	}
	l := a.news
	a.told, a.news = now, Limited{Owner: l.Owner}
	return l, true
}

// sweep forgets owners that have been silent. g.mu is held.
func (g *gate) sweep(now time.Time) {
	if now.Sub(g.swept).Abs() < tellEvery {
		return
	}
	g.swept = now
	for of, a := range g.owners {
		if now.Sub(a.filled).Abs() > 10*tellEvery && a.news.Refused+a.news.Cut == 0 {
			delete(g.owners, of)
		}
	}
}

// Text is a notice as its app's log says it.
func (l Limited) Text() string {
	if l.Refused == 0 {
		return fmt.Sprintf("traces: %d spans were kept without some of what they said: %s", l.Cut, l.Why)
	}
	return fmt.Sprintf("traces: %d spans were refused: %s", l.Refused, l.Why)
}
