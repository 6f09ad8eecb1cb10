package gateway

import (
	"slices"

	"naru/internal/route"
	"naru/internal/route/h1"
)

// add puts an entry where requests find it. Entries of one place stand behind
// the one without a condition; those with more conditions are asked first.
func (v *view) add(e *entry) {
	at, ok := v.index.At(e.spec.Host, e.spec.Path)
	if !ok {
		at = e
		if e.spec.When != nil {
			at = &entry{spec: e.spec, own: e.own, none: true}
		}
		v.index.Add(e.spec.Host, e.spec.Path, at)
		if at == e {
			return
		}
	}
	if e.spec.When == nil { // it comes behind its others: tables are in no order here
		others := at.others
		*at = *e
		at.others = others
		v.byID[e.spec.ID] = at
		return
	}
	at.others = append(at.others, e)
	slices.SortStableFunc(at.others, func(a, b *entry) int { return b.spec.When.Size() - a.spec.When.Size() })
}

// find returns the entry for a request. Where all entries of a place have
// conditions that it does not meet, shorter paths and wildcards are asked.
func (v *view) find(x *exchange) (*entry, bool) {
	at, ok := v.index.Find(x.host, x.path)
	if !ok || len(at.others) == 0 {
		return at, ok
	}
	if e := at.choose(x.req); e != nil {
		return e, true
	}
	at, ok = v.index.FindBy(x.host, x.path, func(e *entry) bool { return e.choose(x.req) != nil })
	if !ok {
		return nil, false
	}
	return at.choose(x.req), true
}

// choose returns the entry of a place that a request belongs to; nil where none
// wants it.
func (e *entry) choose(req *h1.Request) *entry {
	for _, other := range e.others {
		if wants(other.spec.When, req) {
			return other
		}
	}
	if e.none {
		return nil
	}
	return e
}

// wants reports whether a request meets all conditions.
func wants(w *route.When, req *h1.Request) bool {
	if len(w.Methods) > 0 && !slices.ContainsFunc(w.Methods, func(m string) bool { return string(req.Method) == m }) {
		return false
	}
	for i := range w.Match {
		if !fits(req, &w.Match[i]) {
			return false
		}
	}
	return true
}
