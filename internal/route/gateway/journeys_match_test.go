package gateway

import (
	"strconv"
	"testing"

	"naru/internal/app"
	"naru/internal/route"
	"naru/internal/route/h1"
)

// The gateway finds what app.Journey finds.
func TestJourneysMatchAsDeclared(t *testing.T) {
	paths := []string{"/", "", "*", "/a", "/a/", "/a/b", "/a/b/", "/a//b", "//", "/profile/ann", "/profile/ann/x", "/profile/", "/profile", "/static/", "/static", "/static/a/b/c", "/{x}"}
	patterns := []string{"/", "/a", "/a/", "/a/b", "/profile/{user}", "/{x}", "/{x}/{y}", "/static/{rest...}", "/{rest...}", "/a/{x}/", "/a//b", "/profile/{user}/{rest...}"}
	n := 0
	for _, pattern := range patterns {
		for _, methods := range [][]string{nil, {"GET", "HEAD"}, {"POST"}} {
			for _, host := range []string{"", "shop.test"} {
				j := app.Journey{Methods: methods, Host: host, Path: pattern}
				made := newJourney(&route.Counted{Name: j.String(), Methods: methods, Host: host, Path: pattern})
				for _, path := range paths {
					for _, method := range []string{"GET", "POST", "get"} {
						for _, at := range []string{"shop.test", "Shop.Test", "other"} {
							want := j.Matches(method, at, path)
							if got := made.matches([]byte(method), at, path); got != want {
								t.Errorf("%s: %s %s%s: got %t, want %t", j, method, at, path, got, want)
							}
							if want {
								n++
							}
						}
					}
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d matched: the test shows nothing", n)
	}
}

// BenchmarkMatching is what a request pays for journeys at its end, beside
// everything else: with none, a load of a pointer.
func BenchmarkMatching(b *testing.B) {
	for _, n := range []int{0, 1, 5, 50} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r, c := newReports(Config{Records: 1}), &counter{}
			var of []*journey
			for i := range n {
				spec := &route.Counted{Methods: []string{"GET"}, Path: "/section" + strconv.Itoa(i) + "/{user}/orders/{order}", Within: []app.Duration{1}}
				spec.Name = spec.Path
				of = append(of, newJourney(spec))
			}
			r.tours(c, of, "a1", "g1")
			x := &exchange{req: &h1.Request{Method: []byte("GET")}, host: "shop.test", path: "/section3/ann/orders/7", status: 200}
			b.ReportAllocs()
			for b.Loop() {
				if tours := c.tours.Load(); tours != nil {
					x.toured(*tours, 1)
				}
			}
		})
	}
}
