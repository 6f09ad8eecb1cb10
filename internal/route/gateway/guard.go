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
