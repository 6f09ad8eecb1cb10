package cf

import (
	"net"
	"strconv"
	"time"

	"naru/internal/run"
)

type usage struct {
	Time        stamp    `json:"time"`
	CPU         float64  `json:"cpu"`             // of a core, since the start
	Entitlement *float64 `json:"cpu_entitlement"` // of what the process may use
	Memory      int64    `json:"mem"`
	Disk        int64    `json:"disk"`
	LogRate     int64    `json:"log_rate"`
}

type port struct {
	External int `json:"external"`
	Internal int `json:"internal"`
}

type stat struct {
	Type      string  `json:"type"`
	Index     int     `json:"index"`
	Instance  *string `json:"instance_guid,omitempty"`
	State     string  `json:"state"`
	Routable  *bool   `json:"routable"`
	Usage     *usage  `json:"usage"`
	Host      *string `json:"host"`
	Ports     []port  `json:"instance_ports"`
	Uptime    *int    `json:"uptime"`
	Memory    int64   `json:"mem_quota"`
	Disk      int64   `json:"disk_quota"`
	Files     int     `json:"fds_quota"`
	LogRate   int     `json:"log_rate_limit"`
	Isolation *string `json:"isolation_segment"`
	Details   *string `json:"details"`
}

// stats tells of every instance that is wanted, whether it is there or not:
// clients count them, and decide by them that a start has come to its end.
func (d *Door) stats(c *call) error {
	p, v, err := d.arriving(c)
	if err != nil {
		return err
	}
	why, err := d.failure(c, p.of)
	if err != nil {
		return err
	}
	out := each(v.spots(p.of, p.Type), func(s spot) stat {
		if why != "" {
			s.state, s.inst.LastExit = "CRASHED", &run.Exit{Reason: why}
		}
		return d.stat(c, p, s)
	})
	return c.ok(map[string]any{"resources": out})
}

func (d *Door) stat(c *call, p process, s spot) stat {
	out := stat{
		Type: p.Type, Index: s.index, State: s.state, Memory: int64(p.MemoryMiB) << 20, Disk: int64(p.DiskMiB) << 20,
		Files: 16384, LogRate: -1, Ports: []port{},
	}
	i := s.inst
	if s.state == "CRASHED" && i.LastExit != nil {
		out.Details = &i.LastExit.Reason
	}
	if i.ID == "" {
		return out
	}
	id, routable := string(i.ID), i.State == run.Healthy
	out.Instance, out.Routable = &id, &routable
	if i.Started.IsZero() || s.state == "CRASHED" {
		return out
	}
	up := max(time.Since(i.Started), time.Second)
	seconds := int(up.Seconds())
	out.Uptime = &seconds
	if host, at, err := net.SplitHostPort(i.Addr); err == nil {
		n, _ := strconv.Atoi(at) // naru wrote it
		out.Host, out.Ports = &host, []port{{n, n}}
	}
	u, err := d.Meter.Usage(c.ctx(), i.ID)
	if err != nil {
		return out // it ended since it was listed
	}
	cpu := u.CPU.Seconds() / up.Seconds()
	out.Usage = &usage{Time: stamp(time.Now()), CPU: cpu, Memory: u.MemoryBytes, Disk: u.DiskBytes}
	if p.CPUMilli > 0 {
		part := cpu / (float64(p.CPUMilli) / 1000)
		out.Usage.Entitlement = &part
	}
	return out
}
