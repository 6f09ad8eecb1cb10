package gateway

import (
	"net/http"

	"naru/internal/fault"
	"naru/internal/route"
)

// addresses lets visitors in by where they come from.
type addresses struct {
	allow, deny prefixes
	some        bool // only those that are allowed
}

func newAddresses(spec *route.Addresses) *addresses {
	return &addresses{newPrefixes(spec.Allow), newPrefixes(spec.Deny), len(spec.Allow) > 0}
}

func (a *addresses) pass(x *exchange) (*page, error) {
	from := x.visitor()
	if !a.deny.has(from) && (!a.some || a.allow.has(from)) {
		return nil, nil
	}
	x.problem = "refused: the address " + from.String() + " is not let in"
	return &page{
		status: http.StatusForbidden, kind: fault.Denied, title: "Not allowed",
		message: x.app() + " is not open to your address.",
	}, nil
}
