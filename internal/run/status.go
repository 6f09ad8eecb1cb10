package run

import (
	"net/netip"
	"time"

	"naru/internal/app"
)

// Status is what a driver knows of one instance.
type Status struct {
	ID      InstanceID
	Group   GroupID
	App     app.ID
	Space   app.SpaceID
	Process string
	Index   int
	Task    bool

	Phase   Phase
	Addr    netip.AddrPort // where the gateway and the prober reach it; invalid without a port
	PID     int            // of its first process, 0 when it does not run
	Started time.Time
	Exit    *Exit // set when Exited
}
