package route_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
)

func TestParseHost(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"plain":                 {"shop.example", "shop.example"},
		"upper case":            {"Shop.Example", "shop.example"},
		"final dot":             {"shop.example.", "shop.example"},
		"one label":             {"localhost", "localhost"},
		"wildcard":              {"*.Example.com", "*.example.com"},
		"unicode":               {"käse.example", "xn--kse-qla.example"},
		"punycode":              {"xn--kse-qla.example", "xn--kse-qla.example"},
		"full width":            {"ｓhop.example", "shop.example"},
		"empty":                 {"", ""},
		"wildcard alone":        {"*", ""},
		"wildcard of nothing":   {"*.", ""},
		"star inside":           {"a.*.example", ""},
		"star in a label":       {"a*.example", ""},
		"two stars":             {"*.*.example", ""},
		"port":                  {"shop.example:80", ""},
		"scheme":                {"https://shop.example", ""},
		"path":                  {"shop.example/x", ""},
		"user":                  {"a@shop.example", ""},
		"address":               {"10.0.0.1", ""},
		"IPv6":                  {"::1", ""},
		"empty label":           {"a..example", ""},
		"hyphen first":          {"-a.example", ""},
		"hyphen last":           {"a-.example", ""},
		"space":                 {"a b.example", ""},
		"newline":               {"a\nb.example", ""},
		"long label":            {strings.Repeat("a", 64) + ".example", ""},
		"long name":             {strings.Repeat("abcdefg.", 32) + "example", ""},
		"bad punycode":          {"xn--\u0000.example", ""},
		"surrounding space":     {"  shop.example ", "shop.example"},
		"bidi and control mess": {"shop\u202e.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := route.ParseHost(tc.in)
			if got != tc.want || (err != nil) != (tc.want == "") {
				t.Errorf("ParseHost(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
			}
			if err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("%v is not for people", err)
			}
		})
	}
}

func TestParsePath(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"empty":          {"", "/"},
		"root":           {"/", "/"},
		"segment":        {"/api", "/api"},
		"final slash":    {"/api/", "/api"},
		"two":            {"/api/v1", "/api/v1"},
		"relative":       {"api", ""},
		"empty segment":  {"/a//b", ""},
		"dots":           {"/a/../b", ""},
		"query":          {"/a?b", ""},
		"escape":         {"/a%2fb", ""},
		"space":          {"/a b", ""},
		"too long":       {"/" + strings.Repeat("a", 128), ""},
		"only slashes":   {"//", ""},
		"newline inside": {"/a\nb", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := route.ParsePath(tc.in)
			if got != tc.want || (err != nil) != (tc.want == "") {
				t.Errorf("ParsePath(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestRouteWithAndWithout(t *testing.T) {
	r, err := route.New("space", "Shop.Example", "/api/", time.Unix(1, 0))
	if err != nil || r.Name() != "shop.example/api" || r.ID == "" {
		t.Fatalf("New = %+v, %v", r, err)
	}
	one, err := r.With(route.NewDestination("a", "", 0, 10))
	if err != nil || len(r.Destinations) != 0 {
		t.Fatalf("With = %+v, %v", one, err)
	}
	again, err := one.With(route.NewDestination("a", app.Web, 0, 20))
	if err != nil || len(again.Destinations) != 1 || again.Destinations[0].Weight != 20 || again.Destinations[0].ID != one.Destinations[0].ID {
		t.Errorf("the destination was not put in the place of the old one: %+v", again)
	}
	if _, err := one.With(route.NewDestination("b", "", 0, 101)); !fault.Is(err, fault.Invalid) {
		t.Errorf("weight 101: %v", err)
	}
	if _, err := one.With(route.NewDestination("b", "", 70000, 1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("port 70000: %v", err)
	}
	moved, err := again.With(route.NewDestination("a", "", 9000, 0))
	if err != nil || len(moved.Destinations) != 1 || moved.Destinations[0].Port != 9000 {
		t.Errorf("another port of the same process: %+v, %v", moved.Destinations, err)
	}
	two, err := again.With(route.NewDestination("b", "api", 9000, 0))
	if err != nil || len(two.Destinations) != 2 {
		t.Fatalf("With = %+v, %v", two, err)
	}
	left, gone := two.Without("a")
	if !gone || len(left.Destinations) != 1 || left.Destinations[0].App != "b" || len(two.Destinations) != 2 {
		t.Errorf("Without = %+v, %v", left, gone)
	}
	full := r
	for i := range route.MaxDestinations {
		full, err = full.With(route.NewDestination(app.ID(fmt.Sprint("a", i)), "", 0, 0))
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := full.With(route.NewDestination("b", "", 0, 0)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("destination %d: %v", route.MaxDestinations+1, err)
	}
	if err := route.Taken("shop.example", "/"); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "shop.example is taken") {
		t.Errorf("Taken = %v", err)
	}
}
