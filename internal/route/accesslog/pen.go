package accesslog

import (
	"naru/internal/route"
	"naru/internal/route/encode"
)

// pen writes lines, one after the other.
type pen struct {
	clock encode.Clock
	text  []byte // scratch
	line  []byte // that is being written
	known [16]fragment
}

// fragment is what the lines of an instance behind a route have in common, by its
// hash: another one may take its room.
type fragment struct {
	route, group, instance, upstream string
	app                              route.App
	index                            int
	text                             []byte // empty: none yet
}

// common appends what is known of where a request went, made by write where it is
// not.
func (p *pen) common(b []byte, a *route.Access, write func([]byte, *route.Access) []byte) []byte {
	f := &p.known[(ending(a.Instance)*31+ending(a.Route))%len(p.known)]
	if len(f.text) == 0 || f.instance != a.Instance || f.route != a.Route || f.group != a.Group || f.upstream != a.Upstream || f.index != a.Index || f.app != a.App {
		f.route, f.group, f.instance, f.upstream, f.app, f.index = a.Route, a.Group, a.Instance, a.Upstream, a.App, a.Index
		f.text = write(f.text[:0], a)
	}
	return append(b, f.text...)
}

// ending tells ids apart, most of the time.
func ending(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	return int(s[len(s)-1]) + int(s[len(s)-2])<<3
}
