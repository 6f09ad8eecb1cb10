package domain

import (
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/route"
)

// Kind of what it takes to have a host.
type Kind string

// The kinds.
const (
	Nothing Kind = "nothing" // the space has it already, or it is free
	Proof   Kind = "proof"   // a token or addresses
	Token   Kind = "token"   // a token: another space has routes there
	Taken   Kind = "taken"   // it cannot be had
)

// Need is what it takes a space to have a host.
type Need struct {
	Kind  Kind
	Below string // the token has to be at a name below this one; "": any of the host's
}

// needOf is the rule. A space has what it has routes for, also by a wildcard. Of
// names below the apps domain all others go to who comes first; a wildcard over a
// part of it takes that part. Outside, what another space has takes a token near
// the host: addresses do not say which space is meant, and a token at a wildcard
// may be how the other one got it.
func needOf(host string, space app.SpaceID, holders []route.Holder, apps string, required bool) Need {
	under := route.Below(host, apps)
	shared := false
	for _, h := range holders {
		if h.Host == host && h.Space == space {
			return Need{Kind: Nothing}
		}
		shared = shared || h.Host == host
	}
	over, own := nearest(host, space, holders, apps)
	switch {
	case under && over != "" && !own:
		return Need{Kind: Taken, Below: over}
	case under:
		return Need{Kind: Nothing}
	case shared:
		_, parent, _ := strings.Cut(strings.TrimPrefix(host, "*."), ".")
		return Need{Kind: Token, Below: parent}
	case over != "" && !own:
		return Need{Kind: Token, Below: over}
	case required && !own:
		return Need{Kind: Proof}
	}
	return Need{Kind: Nothing}
}

// nearest is the domain whose wildcard answers for a host now, "" for none, and
// whether the wildcard is the space's. One over all apps counts for none of them:
// nobody takes the names that are still to come.
func nearest(host string, space app.SpaceID, holders []route.Holder, apps string) (over string, own bool) {
	for _, wildcard := range route.Wildcards(host) {
		domain := wildcard[2:]
		if domain == apps || route.Below(apps, domain) {
			break
		}
		for _, h := range holders {
			if h.Host == wildcard {
				over, own = domain, own || h.Space == space
			}
		}
		if over != "" {
			break
		}
	}
	return over, own
}

// records are the names at which a host's token may stand, the host's own first,
// then those of the domains it is in up to the one that somebody registered.
func records(host, below string) (names []string) {
	name := strings.TrimPrefix(host, "*.")
	top := registered(name)
	for len(names) < maxRecords {
		names = append(names, prefix+name)
		_, parent, more := strings.Cut(name, ".")
		if name == top || !more || parent == below {
			break
		}
		name = parent
	}
	return slices.Clip(names)
}
