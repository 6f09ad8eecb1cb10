package gateway

import (
	"cmp"
	"net/http"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
)

// maintenance shows visitors a page in place of the app.
type maintenance struct {
	spec   *route.Maintenance
	except prefixes
}

func newMaintenance(spec *route.Maintenance) *maintenance {
	return &maintenance{spec, newPrefixes(spec.Except)}
}

func (m *maintenance) pass(x *exchange) (*page, error) {
	if len(m.except) > 0 && m.except.has(x.visitor()) {
		return nil, nil
	}
	x.problem = "maintenance"
	retry := cmp.Or(m.spec.Retry.Std(), x.g.cfg.RetryAfter)
	return &page{
		status: http.StatusServiceUnavailable, kind: fault.Unavailable, title: "Maintenance",
		message: cmp.Or(m.spec.Message, x.app()+" is being worked on. It will be back soon."),
		retry:   int(max(1, (retry+time.Second-1)/time.Second)), content: m.spec.Page,
	}, nil
}
