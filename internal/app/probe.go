package app

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"naru/internal/fault"
)

// Probe is a request that naru makes to an app again and again, by the way that
// users take, so that an objective has events also when nobody comes. Zero fields
// take defaults.
type Probe struct {
	Name     string   `json:"name"`               // a DNS label, unique in the app
	Method   string   `json:"method,omitempty"`   // GET or HEAD; "": GET
	Host     string   `json:"host,omitempty"`     // one of the app's; "": the first by name
	Path     string   `json:"path"`               // with its query
	Interval Duration `json:"interval,omitempty"` // 0: a minute
	Timeout  Duration `json:"timeout,omitempty"`  // 0: ten seconds, or the interval where that is shorter
	Good     []string `json:"good,omitempty"`     // statuses that are good; none: 2xx
}

// Bounds of probes.
const (
	MaxProbes        = 10
	MinProbeInterval = Duration(10 * time.Second)
	MaxProbeInterval = Duration(24 * time.Hour)
	MaxProbeTimeout  = Duration(time.Minute)
)

// Filled returns the probe with its defaults in place of what it leaves open.
func (p Probe) Filled() Probe {
	p.Method = first(p.Method, "GET")
	if p.Interval == 0 {
		p.Interval = Duration(time.Minute)
	}
	if p.Timeout == 0 {
		p.Timeout = min(Duration(10*time.Second), p.Interval)
	}
	if len(p.Good) == 0 {
		p.Good = []string{"2xx"}
	}
	return p
}

// IsGood reports that a run with this status was good; 0 is no answer.
func (p Probe) IsGood(code int) bool { return MatchesStatus(p.Filled().Good, code) }

// MatchesStatus reports that a status is one of those that are named: "5xx", "503",
// "none" for 0, which is no answer.
func MatchesStatus(named []string, code int) bool {
	for _, s := range named {
		switch {
		case s == "none" && code == 0,
			len(s) == 3 && s[1:] == "xx" && int(s[0]-'0') == code/100 && code > 0,
			s == fmt.Sprint(code):
			return true
		}
	}
	return false
}

// CheckProbes refuses probes of one app that cannot be made.
func CheckProbes(field string, all []Probe) error {
	if len(all) > MaxProbes {
		return fault.New(fault.TooLarge, field, "%d probes are more than %d", len(all), MaxProbes)
	}
	var errs []error
	seen := map[string]bool{}
	for i, p := range all {
		at := fmt.Sprintf("%s[%d]", field, i)
		errs = append(errs, p.Check(at))
		if seen[p.Name] {
			errs = append(errs, fault.New(fault.Invalid, at+".name", "two probes are named %q", p.Name))
		}
		seen[p.Name] = true
	}
	return errors.Join(errs...)
}

// Check refuses a probe that cannot be made; field is the prefix of what the
// errors name.
func (p Probe) Check(field string) error {
	var errs []error
	bad := func(key, try, format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, field+key, format, args...).WithTry("%s", try))
	}
	f := p.Filled()
	if !label.MatchString(p.Name) {
		bad(".name", "order", "%q is not a name: a-z, 0-9 and -, at most 63", p.Name)
	}
	if f.Method != "GET" && f.Method != "HEAD" {
		bad(".method", "GET or HEAD", "%q would change something each time", p.Method)
	}
	if strings.ContainsAny(p.Host, " \t\r\n{}/:?#\"\\\x00") || len(p.Host) > 253 {
		bad(".host", "shop.example.com", "%q is no host", p.Host)
	}
	if !strings.HasPrefix(p.Path, "/") || len(p.Path) > 1000 || strings.IndexFunc(p.Path, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) >= 0 {
		bad(".path", "/health/order", "%q is no path: it begins with /, and what is not ASCII is escaped", p.Path)
	}
	if f.Interval < MinProbeInterval || f.Interval > MaxProbeInterval {
		bad(".interval", "1m", "%s is not between %s and %s", p.Interval, MinProbeInterval, MaxProbeInterval)
	}
	if f.Timeout <= 0 || f.Timeout > MaxProbeTimeout || f.Timeout > f.Interval {
		bad(".timeout", "10s", "%s is not between 0 and %s, and not longer than the interval", p.Timeout, MaxProbeTimeout)
	}
	for _, s := range p.Good {
		if !status.MatchString(s) || s == "none" {
			bad(".good", "2xx or 204", "%q is no status", s)
		}
	}
	return errors.Join(errs...)
}
