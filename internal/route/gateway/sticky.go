package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/route/rendezvous"
)

// stickyCookie is the name of the cookie where a route gives none.
const stickyCookie = "naru_sticky"

// sticky keeps visitors of an entry with their instance. It belongs to one view.
type sticky struct {
	header string // whose value chooses; "": the cookie
	cookie string
	tail   string // of Set-Cookie: its attributes
	seats  map[string]seat
	marks  map[*backend]string // what names it in a cookie
}

// seat is where a visitor was.
type seat struct {
	group *group
	back  *backend
}

// newSticky makes the rule of an entry ready whose groups are known; nil for
// none.
func newSticky(e *entry) *sticky {
	if e.policy == nil || e.policy.spec.Sticky == nil {
		return nil
	}
	spec := e.policy.spec.Sticky
	if spec.Header != "" {
		return &sticky{header: spec.Header}
	}
	s := &sticky{cookie: spec.Cookie, seats: map[string]seat{}, marks: map[*backend]string{}}
	or(&s.cookie, stickyCookie)
	path := strings.ReplaceAll((&url.URL{Path: e.spec.Path}).EscapedPath(), ";", "%3B")
	s.tail = "; Path=" + path
	if age := spec.MaxAge.Std(); age > 0 {
		s.tail += "; Max-Age=" + strconv.FormatInt(int64((age+time.Second-1)/time.Second), 10)
	}
	s.tail += "; HttpOnly; SameSite=Lax"
	for _, groups := range [][]*group{e.matches, e.groups} {
		for _, g := range groups {
			for _, b := range g.backends {
				mark := markOf(e.spec.ID, b.instance.ID)
				s.marks[b], s.seats[mark] = mark, seat{g, b}
			}
		}
	}
	return s
}

// markOf names an instance in a cookie: the same in every gateway and after a
// restart, but nothing to read from, and nothing to guess for who does not know
// the instance's id.
func markOf(id, instance string) string {
	sum := sha256.Sum256([]byte("naru sticky\x00" + id + "\x00" + instance))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// pick chooses where a visitor was, nil where that cannot be known or is not there
// any more. matched is the group that the request belongs to, nil for none.
func (s *sticky) pick(x *exchange, matched *group, cfg *Config) (g *group, b *backend) {
	now := int64(0)
	if s.header != "" {
		value := headerOf(x.req, s.header)
		if len(value) == 0 {
			return nil, nil
		}
		key := rendezvous.Hash(value)
		if matched != nil {
			return matched, matched.prefer(key, cfg, x.tried, &now)
		}
		return x.entry.prefer(key, cfg, x.tried, &now)
	}
	cookiesOf(x.req, s.cookie, func(value []byte) bool {
		at, ok := s.seats[string(value)]
		if !ok || matched != at.group && (matched != nil || at.group.weight == 0) {
			return true
		}
		x.seated = at.back
		if slices.Contains(x.tried, at.back) || !at.back.available(cfg, &now) || !at.group.admits() {
			return true
		}
		g, b = at.group, at.back
		return false
	})
	return g, b
}

// prefer is pick for a value that is to be sent to the same group each time, as
// far as weights allow. Where a weight rises values move to its group only, and
// where one falls only from it.
func (e *entry) prefer(key uint64, cfg *Config, skip tried, now *int64) (*group, *backend) {
	for limit := math.Inf(1); ; {
		var best *group
		score := math.Inf(-1)
		for _, g := range e.groups {
			if s := rendezvous.Weighted(key, g.seed, g.weight); s > score && s < limit {
				best, score = g, s
			}
		}
		if best == nil {
			return nil, nil
		}
		if b := best.prefer(key, cfg, skip, now); b != nil {
			return best, b
		}
		limit = score
	}
}

// prefer chooses the instance of a group that a value is sent to each time. When
// instances come and go, only the values of those move.
func (g *group) prefer(key uint64, cfg *Config, skip tried, now *int64) *backend {
	if !g.admissible() {
		return nil
	}
	for limit, more := uint64(0), false; ; more = true {
		var best *backend
		score := uint64(0)
		for _, b := range g.backends {
			if s := rendezvous.Score(key, b.seed); s >= score && (!more || s < limit) {
				best, score = b, s
			}
		}
		if best == nil {
			return nil
		}
		if !slices.Contains(skip, best) && best.available(cfg, now) {
			if !g.admits() {
				return nil
			}
			return best
		}
		limit = score
	}
}

// stays is what Set-Cookie says to have the visitor come back to the instance
// that answers, and its attributes; "" where the visitor knows, or better goes
// elsewhere next time.
func (x *exchange) stays() (name, mark, tail, secure string) {
	s := x.entry.sticky
	if s == nil || s.cookie == "" || x.back == x.seated || x.answer.Status >= http.StatusInternalServerError {
		return "", "", "", ""
	}
	if x.secure() {
		secure = "; Secure"
	}
	return s.cookie, s.marks[x.back], s.tail, secure
}

// stay appends that as a line.
func (x *exchange) stay(b []byte) []byte {
	name, mark, tail, secure := x.stays()
	if mark == "" { // the instance is of a table before
		return b
	}
	b = append(append(append(b, "Set-Cookie: "...), name...), '=')
	b = append(append(append(b, mark...), tail...), secure...)
	return append(b, '\r', '\n')
}

// stayHeader is stay for HTTP/2.
func (x *exchange) stayHeader(h http.Header) {
	if name, mark, tail, secure := x.stays(); mark != "" {
		h["Set-Cookie"] = append(h["Set-Cookie"], name+"="+mark+tail+secure)
	}
}
