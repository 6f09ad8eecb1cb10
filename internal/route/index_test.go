package route_test

import (
	"fmt"
	"testing"

	"naru/internal/route"
)

func TestIndex(t *testing.T) {
	x := route.NewIndex[string]()
	for _, r := range []string{"shop.example/", "shop.example/api", "shop.example/api/v2", "*.example/", "*.deep.example/x", "only.example/api"} {
		host, path := r, "/"
		for i := range r {
			if r[i] == '/' {
				host, path = r[:i], r[i:]
				break
			}
		}
		x.Add(host, path, r)
	}
	x.Add("shop.example", "/", "again")
	for name, tc := range map[string]struct{ host, path, want string }{
		"root":                         {"shop.example", "/", "shop.example/"},
		"longest path":                 {"shop.example", "/api/v2/users", "shop.example/api/v2"},
		"exact path":                   {"shop.example", "/api", "shop.example/api"},
		"whole segments only":          {"shop.example", "/apiary", "shop.example/"},
		"whole segments only, deeper":  {"shop.example", "/api/v20", "shop.example/api"},
		"star target":                  {"shop.example", "*", "shop.example/"},
		"empty path":                   {"shop.example", "", "shop.example/"},
		"wildcard":                     {"other.example", "/", "*.example/"},
		"wildcard takes deeper names":  {"a.b.example", "/", "*.example/"},
		"nearest wildcard":             {"a.deep.example", "/x/y", "*.deep.example/x"},
		"next wildcard by path":        {"a.deep.example", "/y", "*.example/"},
		"wildcard is not its own name": {"example", "/", ""},
		"exact host without the path":  {"only.example", "/", "*.example/"},
		"unknown":                      {"shop.test", "/", ""},
		"empty":                        {"", "/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := x.Find(tc.host, tc.path)
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("Find(%q, %q) = %q, %v, want %q", tc.host, tc.path, got, ok, tc.want)
			}
		})
	}
}

func TestCutPort(t *testing.T) {
	for in, want := range map[string]string{
		"shop.example": "shop.example", "Shop.Example:8080": "shop.example", "shop.example.": "shop.example",
		"shop.example.:80": "shop.example", "[::1]:80": "[::1]", "[::1]": "[::1]", "": "", ":80": "",
	} {
		if got := route.CutPort(in); got != want {
			t.Errorf("CutPort(%q) = %q, want %q", in, got, want)
		}
	}
}

func BenchmarkIndexFind(b *testing.B) {
	x := route.NewIndex[int]()
	for i := range 10_000 {
		x.Add(fmt.Sprintf("app-%d.apps.example", i), "/", i)
	}
	x.Add("*.wild.example", "/", -1)
	for name, host := range map[string]string{"exact": "app-5000.apps.example:8080", "wildcard": "a.wild.example", "unknown": "a.b.c.example"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.Find(route.CutPort(host), "/a/b/c")
			}
		})
	}
}
