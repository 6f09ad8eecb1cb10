package gateway

import (
	"net/http"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/prefix"
)

// addresses lets visitors in by where they come from.
type addresses struct {
	spec        *route.Addresses
	made        bool
	allow, deny prefix.Set
}

func newAddresses(spec *route.Addresses) *addresses { return &addresses{spec: spec} }

func (a *addresses) rule() any { return *a.spec }

// ready makes the sets of one that is to be used: there may be many in a table
// that differs from the one before in nothing else.
func (a *addresses) ready() *addresses {
	if !a.made {
		a.made, a.allow, a.deny = true, prefix.SetOf(a.spec.Allow), prefix.SetOf(a.spec.Deny)
	}
	return a
}

func (a *addresses) pass(x *exchange) (*page, error) {
	from := x.visitor()
	if !a.deny.Has(from) && (len(a.spec.Allow) == 0 || a.allow.Has(from)) {
		return nil, nil
	}
	x.problem = "refused: the address " + from.String() + " is not let in"
	return &page{
		status: http.StatusForbidden, kind: fault.Denied, title: "Not allowed",
		message: x.app() + " is not open to your address.",
	}, nil
}
