package client

import "context"

// The states of a host for a space.
const (
	DomainFree     = "free"     // nothing has to be proved
	DomainProved   = "proved"   // DNS gives it to the space
	DomainUnproved = "unproved" // DNS does not, or it is not known
	DomainTaken    = "taken"    // another space has the names it is below
)

// Domain is how it is with a host for a space.
type Domain struct {
	Host   string        `json:"host" doc:"in the form of the routing table; may be a wildcard"`
	State  string        `json:"state" enum:"free,proved,unproved,taken"`
	Text   string        `json:"text" doc:"why, in one sentence"`
	Checks []DomainCheck `json:"checks,omitempty" doc:"what DNS is asked, each of which proves the host; absent where nothing is asked"`
	Try    string        `json:"try,omitempty" doc:"the way out"`
}

// DomainCheck is one way to prove a host.
type DomainCheck struct {
	Records  string   `json:"records" enum:"TXT,A and AAAA" doc:"type of the DNS records"`
	Name     string   `json:"name" doc:"where they stand"`
	Expected []string `json:"expected" doc:"of TXT: one record with this content; of addresses: some of these and no others"`
	Seen     []string `json:"seen" doc:"what stands there; of TXT only what has naru's form"`
	Proved   bool     `json:"proved"`
}

// Domain says what it takes the space to have a host, and what DNS has of it.
func (s *InSpace) Domain(ctx context.Context, host string) (d Domain, err error) {
	err = s.c.get(ctx, join(s.path+"/domains", host), nil, &d)
	return d, err
}
