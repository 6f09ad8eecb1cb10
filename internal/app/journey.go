package app

import (
	"errors"
	"math"
	"slices"
	"strings"

	"naru/internal/fault"
)

// Journey is what users do: requests of some methods to a pattern of paths. Its
// text form is "GET,HEAD shop.example.com/profile/{user}"; methods and host may
// be left out.
type Journey struct {
	Methods []string `json:"methods,omitempty"` // none: all
	Host    string   `json:"host,omitempty"`    // "": all of the app's
	Path    string   `json:"path"`              // {x} stands for one segment, {x...} at the end for the rest
	Weight  float64  `json:"weight,omitempty"`  // 0: journeys count by their traffic
	Target  float64  `json:"target,omitempty"`  // 0: the objective's
}

// ParseJourney reads the text form; weight and target are not part of it.
func ParseJourney(text string) (Journey, error) {
	var j Journey
	rest := strings.TrimSpace(text)
	if methods, path, ok := strings.Cut(rest, " "); ok {
		j.Methods, rest = strings.Split(strings.ToUpper(methods), ","), strings.TrimSpace(path)
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return Journey{}, fault.New(fault.Invalid, "journey", "%q names no path", text).WithTry("GET /profile/{user}")
	}
	j.Host, j.Path = strings.ToLower(rest[:slash]), rest[slash:]
	return j, j.Check("journey")
}

// String is the text form.
func (j Journey) String() string {
	text := j.Host + j.Path
	if len(j.Methods) > 0 {
		text = strings.Join(j.Methods, ",") + " " + text
	}
	return text
}

// Check refuses a journey that no request can be on.
func (j Journey) Check(field string) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, field, format, args...).WithTry("GET /profile/{user}"))
	}
	for _, m := range j.Methods {
		if m == "" || len(m) > 20 || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			bad("%q is no method", m)
		}
	}
	if strings.ContainsAny(j.Host, " \t\r\n{}:?#\"\\") {
		bad("%q is no host", j.Host)
	}
	switch {
	case !strings.HasPrefix(j.Path, "/"):
		bad("the path %q does not begin with /", j.Path)
	case strings.ContainsAny(j.Path, " \t\r\n?#\"\\\x00"):
		bad("%q is no path: it ends before ? and has no spaces", j.Path)
	case len(j.Path) > 1000:
		bad("the path has more than 1000 bytes")
	}
	segments := strings.Split(j.Path, "/")
	for i, s := range segments {
		name, open := strings.CutPrefix(s, "{")
		name, closed := strings.CutSuffix(name, "}")
		_, tail := strings.CutSuffix(name, "...")
		switch {
		case open != closed || strings.ContainsAny(name, "{}"):
			bad("%q in %q: a pattern is a whole segment", s, j.Path)
		case open && (name == "" || name == "..."):
			bad("%q in %q has no name", s, j.Path)
		case open && tail && i != len(segments)-1:
			bad("%q in %q must be the last segment", s, j.Path)
		}
	}
	if j.Weight < 0 || math.IsNaN(j.Weight) || j.Weight > 1e6 {
		bad("%v is no weight", j.Weight)
	}
	if j.Target != 0 {
		errs = append(errs, CheckTarget(field+".target", j.Target))
	}
	return errors.Join(errs...)
}

// Matches reports that a request is on the journey. The path is decoded,
// as routes see it, and without its query.
func (j Journey) Matches(method, host, path string) bool {
	if len(j.Methods) > 0 && !slices.Contains(j.Methods, method) || j.Host != "" && !strings.EqualFold(j.Host, host) {
		return false
	}
	pattern := j.Path
	for {
		want, wantRest, wantMore := strings.Cut(pattern, "/")
		got, gotRest, gotMore := strings.Cut(path, "/")
		switch {
		case strings.HasPrefix(want, "{") && strings.HasSuffix(want, "...}"):
			return true
		case strings.HasPrefix(want, "{"):
			if got == "" {
				return false
			}
		case want != got:
			return false
		}
		if !wantMore || !gotMore {
			return wantMore == gotMore
		}
		pattern, path = wantRest, gotRest
	}
}
