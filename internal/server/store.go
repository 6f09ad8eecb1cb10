package server

import (
	"context"

	"naru/internal/observe/meter"
	"naru/internal/route"
	"naru/internal/store"
)

// routing is what the gateways' table is built from: what is stored, and what
// the platform itself adds.
type routing struct {
	*store.Store
	boot   string
	static []route.Entry
	meter  *meter.Meter // knows what the groups have done so far
}

// RoutingInput reads it, all as of one moment.
func (r routing) RoutingInput(ctx context.Context) (route.Input, error) {
	in, err := r.Store.RoutingInput(ctx)
	in.Boot, in.Static = r.boot, r.static
	r.meter.Remember(in.Groups)
	return in, err
}
