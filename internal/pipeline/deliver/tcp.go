package deliver

import (
	"context"
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/proxyproto"
)

func tcpOf(in *client.TCP) *route.TCP {
	if in == nil {
		return nil
	}
	return &route.TCP{
		Port: in.Port, Proxy: proxyproto.Version(in.Proxy), Connections: in.Connections,
		Timeouts: route.StreamTimeouts{Connect: app.Duration(in.Connect), Idle: app.Duration(in.Idle)},
	}
}

// noRules is the error for rules, or a condition, of a TCP route.
func noRules(name string) error {
	return fault.New(fault.Invalid, "tcp", "%s is a TCP route: it has connections, and rules and conditions are about requests", name).
		WithTry("map it again with --proxy, --connect, --idle or --connections; or map a host, for requests")
}

// mapTCP makes connections lead to an app. It works in the caller's transaction.
func (s *Service) mapTCP(ctx context.Context, actor string, a app.App, w mapping) (route.Route, error) {
	if w.when != nil || !w.change.Empty() || w.to.Protocol != "" || w.path != "" && w.path != "/" {
		return route.Route{}, noRules("this")
	}
	r, err := s.newTCP(ctx, a.Space, w.host, *w.tcp)
	if err != nil {
		return r, err
	}
	host, path := r.Place()
	others, err := s.store.RoutesAt(ctx, host, path)
	if err != nil {
		return r, err
	}
	for _, other := range others {
		if other.Space != a.Space && r.TCP.Port > 0 {
			return route.Route{}, route.PortTaken(r.TCP.Port)
		}
		if other.Space != a.Space {
			return route.Route{}, route.Taken(r.Host, "/")
		}
		r.ID, r.Created, r.Destinations = other.ID, other.Created, other.Destinations
		r.TCP = over(*r.TCP, *other.TCP)
	}
	return s.lead(ctx, actor, a, r, w.to)
}

// over is what is asked for, laid over what a route has.
func over(asked, had route.TCP) *route.TCP {
	if asked.Proxy == proxyproto.None {
		asked.Proxy = had.Proxy
	}
	if asked.Timeouts.Connect == 0 {
		asked.Timeouts.Connect = had.Timeouts.Connect
	}
	if asked.Timeouts.Idle == 0 {
		asked.Timeouts.Idle = had.Timeouts.Idle
	}
	if asked.Connections == 0 {
		asked.Connections = had.Connections
	}
	return &asked
}

// newTCP is the route that is asked for, with a port that is free where none is
// named.
func (s *Service) newTCP(ctx context.Context, space app.SpaceID, host string, tcp route.TCP) (route.Route, error) {
	now := time.Now().UTC()
	if host != "" {
		if tcp.Port != 0 {
			return route.Route{}, fault.New(fault.Invalid, "port", "a connection to a port is not asked for its name").WithTry("--tcp --port PORT, or --sni HOST")
		}
		r, err := route.NewTCP(space, s.whole(host), tcp, now)
		switch {
		case err != nil:
			return r, err
		case route.Below(r.Host, s.cfg.PlatformDomain):
			return route.Route{}, route.Reserved(r.Host, s.cfg.PlatformDomain)
		case !s.cfg.Secure:
			return route.Route{}, fault.New(fault.Unsupported, "host", "the gateway of this platform has no TLS address").
				WithTry("naru up --listen-apps-tls HOST:PORT; or take a port: --tcp")
		}
		return r, nil
	}
	ports := s.cfg.TCPPorts
	switch {
	case ports.First == 0:
		return route.Route{}, fault.New(fault.Unsupported, "port", "this platform has no ports for TCP routes").
			WithTry("naru up --listen-tcp 127.0.0.1:20000-20099")
	case tcp.Port == 0:
		free, err := s.freePort(ctx)
		if err != nil {
			return route.Route{}, err
		}
		tcp.Port = free
	case !ports.Contains(tcp.Port):
		return route.Route{}, fault.New(fault.Invalid, "port", "port %d is not one that TCP routes may have", tcp.Port).
			WithTry("name one from %d to %d, or none", ports.First, ports.Last)
	}
	return route.NewTCP(space, "", tcp, now)
}

// anyPort reports that a mapping wants some port of the gateway.
func (w mapping) anyPort() bool { return w.tcp != nil && w.tcp.Port == 0 && w.host == "" }

// keptPorts gives the TCP routes of a push that name no port the ones that the app
// has: the same push again makes no new route.
func keptPorts(a app.ID, mappings []mapping, had []route.Route) []mapping {
	named := map[int]bool{}
	for _, w := range mappings {
		if w.tcp != nil {
			named[w.tcp.Port] = true
		}
	}
	out := slices.Clone(mappings)
	for i, w := range out {
		if !w.anyPort() {
			continue
		}
		to := route.NewDestination(a, w.to.Process, w.to.Port, 0)
		same := func(d route.Destination) bool { return d.App == a && d.Process == to.Process && d.Port == to.Port }
		for _, r := range had {
			if r.TCP == nil || r.TCP.Port == 0 || named[r.TCP.Port] || !slices.ContainsFunc(r.Destinations, same) {
				continue
			}
			tcp := *w.tcp
			tcp.Port = r.TCP.Port
			out[i].tcp, named[tcp.Port] = &tcp, true
			break
		}
	}
	return out
}

// freePort is the lowest port that no route has.
func (s *Service) freePort(ctx context.Context) (int, error) {
	ports := s.cfg.TCPPorts
	for port := ports.First; port <= ports.Last; port++ {
		host, path := route.Route{TCP: &route.TCP{Port: port}}.Place()
		others, err := s.store.RoutesAt(ctx, host, path)
		if err != nil {
			return 0, err
		}
		if len(others) == 0 {
			return port, nil
		}
	}
	return 0, fault.New(fault.Conflict, "port", "all ports from %d to %d have routes", ports.First, ports.Last).
		WithTry("naru unmap-route APP tcp:PORT; or offer more with listen.tcp")
}
