package gateway

import (
	"cmp"
	"net/http"
	"time"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/prefix"
)

// maintenance shows visitors a page in place of the app.
type maintenance struct {
	spec   *route.Maintenance
	made   bool
	except prefix.Set
}

func newMaintenance(spec *route.Maintenance) *maintenance { return &maintenance{spec: spec} }

func (m *maintenance) rule() any { return *m.spec }

// ready makes the set of one that is to be used.
func (m *maintenance) ready() *maintenance {
	if !m.made {
		m.made, m.except = true, prefix.SetOf(m.spec.Except)
	}
	return m
}

func (m *maintenance) pass(x *exchange) (*page, error) {
	if len(m.except) > 0 && m.except.Has(x.visitor()) {
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
