package api

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/domain"
)

// Domains says which space may have a host.
type Domains interface {
	// Look says what it takes a space to have a host in the form of the routing
	// table, and what DNS has of it.
	Look(ctx context.Context, space app.SpaceID, host string) (domain.Standing, error)
}

type domainPath struct {
	Host string `path:"host" maxLength:"255" doc:"host name, *.example.com for all below example.com; one of one word is below the apps domain"`
}

func (s *server) getDomain(ctx context.Context, in *domainPath) (client.Domain, error) {
	name := in.Host
	if !strings.Contains(name, ".") {
		name += "." + s.cfg.AppsDomain
	}
	host, err := route.ParseHost(name)
	if err != nil {
		return client.Domain{}, err
	}
	standing, err := s.Domains.Look(ctx, at(ctx).space.ID, host)
	return domainOf(standing), err
}

// domainOf says how it is with a host.
func domainOf(s domain.Standing) client.Domain {
	out := client.Domain{Host: s.Host, State: client.DomainFree, Text: "nothing has to be proved for this space to map it"}
	for i, name := range s.Records {
		out.Checks = append(out.Checks, client.DomainCheck{
			Records: "TXT", Name: name, Expected: []string{s.Token}, Seen: append([]string{}, s.Seen.Tokens[i]...), Proved: slices.Contains(s.Seen.Tokens[i], s.Token),
		})
	}
	if len(s.Expect) > 0 {
		out.Checks = append(out.Checks, client.DomainCheck{
			Records: "A and AAAA", Name: s.Host, Expected: texts(s.Expect), Seen: texts(s.Seen.Addresses), Proved: s.Pointed(),
		})
	}
	err := s.Refusal()
	switch {
	case err != nil:
		f := fault.Of(err)
		out.State, out.Text, out.Try = client.DomainUnproved, f.Message, f.Try
		if s.Need.Kind == domain.Taken {
			out.State = client.DomainTaken
		}
	case s.Seen.Record != "":
		out.State, out.Text = client.DomainProved, s.Seen.Record+" has the token of this space"
	case s.Proved():
		out.State, out.Text = client.DomainProved, "it leads to this platform and nowhere else"
	}
	return out
}

func texts(addresses []netip.Addr) []string {
	out := make([]string, 0, len(addresses))
	for _, a := range addresses {
		out = append(out, a.String())
	}
	return out
}
