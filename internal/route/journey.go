package route

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"naru/internal/app"
)

// Journeys are what the objectives of an app need counted of its requests, beside
// what is counted of all.
type Journeys struct {
	App     string    `json:"app"` // id
	Counted []Counted `json:"counted"`
}

// Counted is a journey whose requests are counted by themselves.
type Counted struct {
	Name     string         `json:"name"`               // the journey as text, or AllJourneys
	Methods  []string       `json:"methods,omitempty"`  // none: all
	Host     string         `json:"host,omitempty"`     // "": all of the app's
	Path     string         `json:"path,omitempty"`     // pattern as app.Journey has it; "": every path
	Statuses []int          `json:"statuses,omitempty"` // counted apart from their classes, rising
	Within   []app.Duration `json:"within,omitempty"`   // times that count requests which took no longer, rising
}

// AllJourneys names all requests of an app; no journey is written like that.
const AllJourneys = "all"

// JourneyCounter is what a gateway process counted of one journey since its start,
// for one group; "" are answers of the gateway itself. What it counts by is part of
// what it is: others are counters of their own.
type JourneyCounter struct {
	App      string         `json:"app"`
	Group    string         `json:"group"`
	Journey  string         `json:"journey"`
	Statuses []int          `json:"statuses,omitempty"`
	Within   []app.Duration `json:"within,omitempty"`
	// Cells has a row for each status, classes first (0, without an answer, to 5),
	// and in it requests that ended, then those of each time in Within.
	Cells []uint64 `json:"cells"`
}

// Bounds of journeys in a table; the control plane keeps to less.
const (
	MaxCounted  = 1_000 // journeys of one app
	MaxStatuses = 100   // of one journey
	MaxWithin   = 100
)

// classRows are the rows of Cells before those of single statuses.
const classRows = 6

// CellCount is how many cells so many statuses and times have.
func CellCount(statuses, within int) int { return (classRows + statuses) * (1 + within) }

// Whole reports that a counter has the cells that it says it has, so that who reads
// it may trust their order.
func (c JourneyCounter) Whole() bool {
	return len(c.Statuses) <= MaxStatuses && len(c.Within) <= MaxWithin && len(c.Cells) == CellCount(len(c.Statuses), len(c.Within))
}

// Status is the text of a row: "none", "2xx", "404".
func (c JourneyCounter) Status(row int) string {
	switch {
	case row == 0:
		return "none"
	case row < classRows:
		return strconv.Itoa(row) + "xx"
	}
	return strconv.Itoa(c.Statuses[row-classRows])
}

// Key tells counters apart.
func (c JourneyCounter) Key() string {
	return strings.Join([]string{c.App, c.Group, c.Journey, fmt.Sprint(c.Statuses), fmt.Sprint(c.Within)}, "\x00")
}

// CountedBy lists what has to be counted for objectives, by name. Requests of all of
// an app by the class of their status are always counted.
func CountedBy(objectives []app.Objective) []Counted {
	all := map[string]*Counted{}
	for _, o := range objectives {
		if !o.Kind.OfRequests() {
			continue
		}
		journeys, statuses := o.Journeys, single(o.Bad, o.Excluded)
		if len(journeys) == 0 && (o.Kind == app.Latency || o.Kind == app.Availability && len(statuses) > 0) {
			journeys = []app.Journey{{}}
		}
		for _, j := range journeys {
			name := JourneyName(j)
			c := all[name]
			if c == nil {
				c = &Counted{Name: name, Methods: j.Methods, Host: j.Host, Path: j.Path}
				all[name] = c
			}
			if o.Kind != app.Throughput {
				c.Statuses = append(c.Statuses, statuses...)
			}
			if o.Kind == app.Latency {
				c.Within = append(c.Within, o.Threshold)
			}
		}
	}
	out := make([]Counted, 0, len(all))
	for _, c := range all {
		slices.Sort(c.Statuses)
		slices.Sort(c.Within)
		c.Statuses, c.Within = slices.Compact(c.Statuses), slices.Compact(c.Within)
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Counted) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// JourneyName is what a journey is counted under.
func JourneyName(j app.Journey) string {
	if j.Path == "" {
		return AllJourneys
	}
	return j.String()
}

// single are the statuses among lists of statuses and classes.
func single(lists ...[]string) []int {
	var out []int
	for _, list := range lists {
		for _, s := range list {
			if n, err := strconv.Atoi(s); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// journeyProblem is what is wrong with the journeys of a table.
func (t *Table) journeyProblem() *problem {
	for i := range t.Journeys {
		js := &t.Journeys[i]
		if len(js.Counted) > MaxCounted {
			return (&problem{".counted", fmt.Sprintf("%d journeys are more than the %d allowed", len(js.Counted), MaxCounted)}).under("journeys", i)
		}
		for k, c := range js.Counted {
			if p := c.problem(); p != nil {
				p = p.under(".counted", k)
				return p.under("journeys", i)
			}
		}
	}
	return nil
}

func (c Counted) problem() *problem {
	if len(c.Statuses) > MaxStatuses || len(c.Within) > MaxWithin {
		return &problem{"", fmt.Sprintf("%d statuses and %d times are more than the %d and %d allowed", len(c.Statuses), len(c.Within), MaxStatuses, MaxWithin)}
	}
	for _, s := range c.Statuses {
		if s < 100 || s > 599 {
			return &problem{".statuses", fmt.Sprintf("%d is no status", s)}
		}
	}
	if c.Path == "" {
		return nil
	}
	if err := (app.Journey{Methods: c.Methods, Host: c.Host, Path: c.Path}).Check(""); err != nil {
		return &problem{".path", err.Error()}
	}
	return nil
}
