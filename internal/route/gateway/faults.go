package gateway

import (
	"errors"
	"math/rand/v2"

	"naru/internal/fault"
	"naru/internal/route"
)

// trouble is a fault made on purpose.
type trouble struct{ spec *route.Fault }

func (f *trouble) pass(x *exchange) (*page, error) {
	if !f.meant(x) {
		return nil, nil
	}
	if f.spec.Delay > 0 {
		if err := x.await(nil, f.spec.Delay.Std()); !errors.Is(err, errLate) {
			return nil, err
		}
	}
	if f.spec.Abort == 0 {
		return nil, nil
	}
	x.problem = "a fault made on purpose"
	return &page{
		status: f.spec.Abort, kind: fault.Failed, title: "Fault on purpose",
		message: "The route of " + x.app() + " answers some requests with this fault on purpose.",
	}, nil
}

// meant reports whether a request is one of those that meet the fault.
func (f *trouble) meant(x *exchange) bool {
	if f.spec.Match != nil && !fits(x.req, f.spec.Match) {
		return false
	}
	share := f.spec.Share
	return share >= 1 || share == 0 && f.spec.Match != nil || rand.Float64() < share
}
