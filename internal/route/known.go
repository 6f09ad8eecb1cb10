package route

import (
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

// DomainID identifies a domain.
type DomainID string

// Domain is a name that routes are to be below, known before there is one: that
// of an organisation, or one that all share. It gives nobody a host: who may have
// one is decided when a route is mapped.
type Domain struct {
	ID      DomainID
	Name    string
	Org     app.OrgID   // "": all share it
	Shared  []app.OrgID // that may use it beside Org
	Created time.Time
}

// For reports whether an organisation may use the domain.
func (d Domain) For(org app.OrgID) bool {
	return d.Org == "" || d.Org == org || slices.Contains(d.Shared, org)
}

// ParseDomain reads the name of a domain: a host of two labels at least, without
// a wildcard.
func ParseDomain(name string) (string, error) {
	if strings.HasPrefix(strings.TrimSpace(name), "*") {
		return "", fault.New(fault.Invalid, "name", "a domain is a whole name, without *").
			WithTry("make the domain, and a route with the host *")
	}
	host, err := ParseHost(name)
	if err != nil {
		return "", err
	}
	if !strings.Contains(host, ".") {
		return "", fault.New(fault.Invalid, "name", "%q is no domain: it has one label", host).WithTry("use a name such as apps.example.com")
	}
	return host, nil
}
