package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"naru/internal/atomicfile"
	"naru/internal/route"
	"naru/internal/route/guard"
	"naru/internal/route/h1"
)

// compared is what a group's requests are compared by; the zero value is that
// nobody compares them.
type compared struct {
	watch *guard.Watch
	side  guard.Side
	share float64
}

// judged tells a group's guard how a request ended. The request that trips it
// also moves the weight: no other request waits for that.
func (x *exchange) judged(took time.Duration) {
	if x.group == nil || x.group.compared.watch == nil {
		return
	}
	c := &x.group.compared
	r := guard.Request{Side: c.side, Share: c.share, Failed: x.status >= 500, Header: x.header}
	if x.status == 0 {
		r.Header = took // the client left; how long it had waited still counts
	}
	if trip := c.watch.Ended(r, time.Now()); trip != nil {
		x.g.tripped(trip)
	}
}

// tripped brings a trip into effect, then tells of it.
func (g *Gateway) tripped(trip *route.Trip) {
	g.tables.again()
	g.log.Warn("guard tripped: the group's weight goes to its baseline", "key", trip.Key, "group", trip.Group, "baseline", trip.Baseline, "reason", trip.Reason())
	g.keepTrips()
	g.reports.tripped(*trip)
}

// again puts the table in use once more, whose weights are others now.
func (t *tables) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(t.view().table)
}

// tripsFile is where trips are kept for the next process, beside the table.
func (g *Gateway) tripsFile() string {
	if g.cfg.Control == "" || g.cfg.TableFile == "" {
		return ""
	}
	return g.cfg.TableFile + ".trips"
}

func (g *Gateway) keepTrips() {
	path := g.tripsFile()
	if path == "" {
		return
	}
	data, err := json.Marshal(g.tables.guards.Trips())
	if err == nil {
		err = atomicfile.Write(path, data, 0o600)
	}
	if err != nil {
		g.log.Error("trips not kept: the next gateway process has to find out again", "error", err)
	}
}

// loadTrips takes what an earlier process kept. A file that cannot be read costs
// what it costs to find out again.
func (g *Gateway) loadTrips(ctx context.Context) {
	path := g.tripsFile()
	if path == "" {
		return
	}
	data, err := os.ReadFile(path)
	var trips []route.Trip
	if err == nil {
		err = json.Unmarshal(data, &trips)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			g.log.WarnContext(ctx, "kept trips are unreadable", "error", err)
		}
		return
	}
	g.tables.guards.Restore(trips)
}

// tripped notes a trip for the control plane. One that is not listening hears of
// it when it is dialed.
func (r *reports) tripped(t route.Trip) {
	r.mu.Lock()
	if r.trips = append(r.trips, t); len(r.trips) > maxEjections {
		r.trips = r.trips[1:]
	}
	r.mu.Unlock()
	r.nudge()
}

func (r *reports) takeTrips() []route.Trip {
	r.mu.Lock()
	defer r.mu.Unlock()
	trips := r.trips
	r.trips = nil
	return trips
}

// matched returns the group that a request belongs to whatever the weights say;
// nil where it is none's.
func (e *entry) matched(req *h1.Request) *group {
	if len(e.matches) == 0 || req == nil {
		return nil
	}
	for _, g := range e.matches {
		if fits(req, g.match) {
			return g
		}
	}
	return nil
}

// fits reports whether a request has a match's header or cookie.
func fits(req *h1.Request, m *route.Match) bool {
	for i := range req.Fields {
		name, value := req.Name(&req.Fields[i]), req.Value(&req.Fields[i])
		switch {
		case m.Header != "" && equalFold(name, m.Header) && (m.Value == "" || string(value) == m.Value):
			return true
		case m.Cookie != "" && equalFold(name, "Cookie") && hasCookie(value, m.Cookie, m.Value):
			return true
		}
	}
	return false
}

// hasCookie looks for NAME=VALUE in a Cookie header.
func hasCookie(list []byte, name, value string) bool {
	for len(list) > 0 {
		end := 0
		for end < len(list) && list[end] != ';' {
			end++
		}
		one := list[:end]
		for len(one) > 0 && one[0] == ' ' {
			one = one[1:]
		}
		if len(one) > len(name) && one[len(name)] == '=' && string(one[:len(name)]) == name && (value == "" || string(one[len(name)+1:]) == value) {
			return true
		}
		if end == len(list) {
			break
		}
		list = list[end+1:]
	}
	return false
}

func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}
