package domain

import (
	"naru/internal/app"
	"naru/internal/route"
)

// Answers says whether a host is a space's by the routes there are: by those at the
// host, else by the nearest wildcard over it. Where there are none, nobody's
// stands against it.
func Answers(host string, space app.SpaceID, holders []route.Holder) bool {
	for _, at := range append([]string{host}, route.Wildcards(host)...) {
		others := false
		for _, h := range holders {
			if h.Host == at && h.Space == space {
				return true
			}
			others = others || h.Host == at
		}
		if others {
			return false
		}
	}
	return true
}
