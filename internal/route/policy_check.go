package route

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// Bounds of a policy.
const (
	MaxRates    = 8
	MaxFaults   = 16
	MaxUsers    = 1000
	MaxPrefixes = 10_000
	MaxRules    = 64        // fields of one direction
	MaxQueue    = 100_000   // requests in and before a bulkhead
	MaxRate     = 1_000_000 // requests and burst of a rate
)

// Check refuses a policy that the gateway could not follow; field is the prefix
// of what the error names.
func (p *Policy) Check(field string) error {
	if bad := p.problem(); bad != nil {
		return fault.New(fault.Invalid, field+bad.key, "%s", bad.what).WithTry("see docs/routes.md for what a route can ask for")
	}
	return nil
}

func (p *Policy) problem() *problem {
	return first(
		negative(".hsts", p.HSTS),
		sub(".maintenance", p.Maintenance), sub(".addresses", p.Addresses), sub(".auth", p.Auth), sub(".redirect", p.Redirect),
		list(".rates", p.Rates, MaxRates), list(".faults", p.Faults, MaxFaults),
		sub(".bulkhead", p.Bulkhead), sub(".sticky", p.Sticky), sub(".breaker", p.Breaker), sub(".retries", p.Retries),
		sub(".health", p.Health), sub(".request", p.Request), sub(".mirror", p.Mirror), sub(".response", p.Response), sub(".tracing", p.Tracing),
	)
}

func first(all ...*problem) *problem {
	for _, p := range all {
		if p != nil {
			return p
		}
	}
	return nil
}

// sub is the problem of a part of a policy that may be nil.
func sub[T any, P interface {
	*T
	problem() *problem
}](key string, part P) *problem {
	if part == nil {
		return nil
	}
	if p := part.problem(); p != nil {
		return &problem{key + p.key, p.what}
	}
	return nil
}

func list[T any, P interface {
	*T
	problem() *problem
}](key string, all []T, most int) *problem {
	if len(all) > most {
		return &problem{key, fmt.Sprintf("%d are more than the %d allowed", len(all), most)}
	}
	for i := range all {
		if p := P(&all[i]).problem(); p != nil {
			return p.under(key, i)
		}
	}
	return nil
}

func negative(key string, d app.Duration) *problem {
	if d < 0 {
		return &problem{key, "must not be negative"}
	}
	return nil
}

// between is a problem where a number is not from low to high.
func between[T int | int64 | float64](key string, n, low, high T) *problem {
	if !(n >= low && n <= high) { // NaN too
		return &problem{key, fmt.Sprintf("%v is not between %v and %v", n, low, high)}
	}
	return nil
}

func (m *Maintenance) problem() *problem {
	return first(
		between(".page", len(m.Page), 0, MaxPage), between(".message", len(m.Message), 0, 1024),
		plain(".message", m.Message), negative(".retry", m.Retry), prefixes(".except", m.Except),
	)
}

func (a *Addresses) problem() *problem {
	if len(a.Allow)+len(a.Deny) == 0 {
		return &problem{"", "names no address"}
	}
	return first(prefixes(".allow", a.Allow), prefixes(".deny", a.Deny))
}

func prefixes(key string, all []string) *problem {
	if len(all) > MaxPrefixes {
		return &problem{key, fmt.Sprintf("%d addresses are more than the %d allowed", len(all), MaxPrefixes)}
	}
	for i, text := range all {
		if _, err := ParsePrefix(text); err != nil {
			return (&problem{"", err.Error()}).under(key, i)
		}
	}
	return nil
}

// ParsePrefix reads an address or a prefix.
func ParsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is no address and no prefix such as 192.0.2.0/24", text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is no address and no prefix such as 192.0.2.0/24", text)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func (a *Auth) problem() *problem {
	if len(a.Users) == 0 {
		return &problem{".users", "has nobody: nobody could come"}
	}
	if p := first(between(".users", len(a.Users), 1, MaxUsers), plain(".realm", a.Realm), between(".realm", len(a.Realm), 0, 128)); p != nil {
		return p
	}
	for name, hash := range a.Users {
		if name == "" || len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == ':' || r == 0x7f }) {
			return &problem{".users", fmt.Sprintf("%q is not a name: it is empty, over 128 bytes, or holds a colon or control characters", name)}
		}
		if !bcryptHash.MatchString(hash) {
			return &problem{".users." + name, "is not the bcrypt hash of a password, with a cost from 04 to 14"}
		}
	}
	return nil
}

// bcryptHash is one that takes at most about a second to compare.
var bcryptHash = regexp.MustCompile(`^\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$`)

// redirects are the statuses a redirect may have.
var redirects = []int{301, 302, 303, 307, 308}

func (r *Redirect) problem() *problem {
	if r.Status != 0 && !slices.Contains(redirects, r.Status) {
		return &problem{".status", fmt.Sprintf("%d is none of 301, 302, 303, 307, 308", r.Status)}
	}
	if r.To == "" {
		return &problem{".to", "is missing"}
	}
	if p := first(plain(".to", r.To), between(".to", len(r.To), 1, 2048), holds(".to", r.To, "host", "path", "query")); p != nil {
		return p
	}
	u, err := url.Parse(strings.NewReplacer("{host}", "host.example", "{path}", "/path", "{query}", "query").Replace(r.To))
	switch {
	case err != nil:
		return &problem{".to", fmt.Sprintf("%q is not a URL", r.To)}
	case u.IsAbs() && (u.Scheme != "http" && u.Scheme != "https" || u.Host == ""), !u.IsAbs() && (!strings.HasPrefix(u.Path, "/") || u.Host != ""):
		return &problem{".to", fmt.Sprintf("%q is neither an http or https URL nor a path", r.To)}
	}
	return nil
}

func (r *Rate) problem() *problem {
	if p := first(negative(".per", r.Per), between(".burst", r.Burst, 0, MaxRate), between(".requests", r.Requests, 0, MaxRate)); p != nil {
		return p
	}
	if r.Requests == 0 {
		return &problem{".requests", "is missing: nobody could come"}
	}
	kind, name, named := strings.Cut(r.By, ":")
	switch {
	case !named && (kind == "" || kind == "route" || kind == "client"):
		return nil
	case named && (kind == "header" || kind == "cookie"):
		return token(".by", name)
	}
	return &problem{".by", fmt.Sprintf("%q is none of route, client, header:NAME, cookie:NAME", r.By)}
}

func (f *Fault) problem() *problem {
	switch {
	case f.Delay == 0 && f.Abort == 0:
		return &problem{"", "wants a delay or an abort"}
	case f.Abort != 0 && (f.Abort < 400 || f.Abort > 599):
		return &problem{".abort", fmt.Sprintf("%d is not a status from 400 to 599", f.Abort)}
	case f.Share == 0 && f.Match == nil:
		return &problem{".share", "is missing: without a match it says which requests are meant"}
	}
	return first(between(".share", f.Share, 0, 1), negative(".delay", f.Delay), sub(".match", f.Match))
}

func (b *Bulkhead) problem() *problem {
	return first(between(".requests", b.Requests, 1, MaxQueue), between(".queue", b.Queue, 0, MaxQueue), negative(".wait", b.Wait))
}

func (s *Sticky) problem() *problem {
	switch {
	case s.Header != "" && s.Cookie != "":
		return &problem{".cookie", "stands beside a header: one of them is wanted"}
	case s.Header != "":
		return token(".header", s.Header)
	case s.Cookie != "":
		return first(token(".cookie", s.Cookie), negative(".max_age", s.MaxAge))
	}
	return negative(".max_age", s.MaxAge)
}

func (b *Breaker) problem() *problem {
	return first(
		between(".requests", b.Requests, 0, MaxRate), between(".failed", b.Failed, 0, 1), negative(".window", b.Window),
		negative(".open", b.Open), between(".probes", b.Probes, 0, 1000),
	)
}

func (r *Retries) problem() *problem {
	return first(between(".attempts", r.Attempts, 0, 10), between(".budget", r.Budget, 0, 1))
}

func (t *Tracing) problem() *problem { return between(".sample", t.Sample, 0, 1) }

func (p *Probe) problem() *problem {
	if !strings.HasPrefix(p.Path, "/") || len(p.Path) > 1024 || strings.ContainsFunc(p.Path, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return &problem{".path", fmt.Sprintf("%q is not a path", p.Path)}
	}
	return first(
		negative(".every", p.Every), negative(".timeout", p.Timeout),
		between(".fails", p.Fails, 0, 100), between(".passes", p.Passes, 0, 100),
	)
}

// ours are fields that rules must not touch: they say where a request goes and
// where a message ends.
var ours = []string{"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "expect", "trailer", "keep-alive", "proxy-connection"}

func (r *Rules) problem() *problem {
	n := len(r.Remove) + len(r.Set)
	for _, name := range r.Remove {
		if p := fieldName(".remove", name); p != nil {
			return p
		}
	}
	for name, value := range r.Set {
		if p := first(fieldName(".set", name), fieldValue(".set."+name, value)); p != nil {
			return p
		}
	}
	for name, values := range r.Add {
		n += len(values)
		if p := fieldName(".add", name); p != nil {
			return p
		}
		for i, value := range values {
			if p := fieldValue("", value); p != nil {
				return p.under(".add."+name, i)
			}
		}
	}
	return between("", n, 0, MaxRules)
}

func fieldName(key, name string) *problem {
	if slices.Contains(ours, strings.ToLower(name)) {
		return &problem{key, fmt.Sprintf("%s belongs to the connection: rules cannot change it", name)}
	}
	return token(key, name)
}

func fieldValue(key, value string) *problem {
	return first(plain(key, value), between(key, len(value), 0, 4096), holds(key, value, "client", "host", "method", "path", "request_id", "group"))
}

func token(key, name string) *problem {
	if name == "" || len(name) > 128 || strings.Trim(name, tokenBytes) != "" {
		return &problem{key, fmt.Sprintf("%q is not the name of a header or a cookie", name)}
	}
	return nil
}

// plain is a problem where a text could not stand in a header.
func plain(key, text string) *problem {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &problem{key, "holds control characters"}
	}
	return nil
}

// holds is a problem where braces hold something else than one of the names.
func holds(key, text string, names ...string) *problem {
	for rest := text; ; {
		_, name, after, found := Piece(rest)
		switch {
		case !found && after == "":
			return nil
		case !found:
			return &problem{key, fmt.Sprintf("%s has no }; a brace itself is written {{", after)}
		case !slices.Contains(names, name):
			return &problem{key, fmt.Sprintf("{%s} is none of {%s}; braces themselves are written {{ and }}", name, strings.Join(names, "}, {"))}
		}
		rest = after
	}
}

func (m *Mirror) problem() *problem {
	if m.Group == "" {
		return &problem{".group", "is missing"}
	}
	return first(between(".share", m.Share, 0, 1), between(".body", m.Body, 0, 16<<20))
}

func (w *When) problem() *problem {
	if len(w.Methods)+len(w.Match) == 0 {
		return &problem{"", "names no method and no match"}
	}
	if p := first(between(".methods", len(w.Methods), 0, 16), list(".match", w.Match, 16)); p != nil {
		return p
	}
	for i, m := range w.Methods {
		if m == "" || len(m) > 32 || strings.Trim(m, tokenBytes) != "" || m != strings.ToUpper(m) {
			return (&problem{"", fmt.Sprintf("%q is not a method in upper case", m)}).under(".methods", i)
		}
	}
	return nil
}

// Size is how many conditions there are.
func (w *When) Size() int {
	if w == nil {
		return 0
	}
	return len(w.Match) + min(1, len(w.Methods))
}

// Key is the condition as text, equal for equal conditions; "" for none.
func (w *When) Key() string {
	if w == nil {
		return ""
	}
	methods := slices.Clone(w.Methods)
	slices.Sort(methods)
	parts := []string{}
	if len(methods) > 0 {
		parts = append(parts, "method:"+strings.Join(slices.Compact(methods), ","))
	}
	for _, m := range w.Match {
		parts = append(parts, m.String())
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), " ")
}
