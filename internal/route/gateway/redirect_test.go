package gateway

import (
	"net/url"
	"strings"
	"testing"

	"naru/internal/route"
)

func TestRedirect(t *testing.T) {
	for name, tt := range map[string]struct {
		to, target string
		want       string
	}{
		"a URL":                              {"https://b.test/x", "/a?b", "https://b.test/x"},
		"all of it":                          {"https://www.{host}{path}{query}", "/a%2Fb?c=d", "https://www.shop.test/a%2Fb?c=d"},
		"no query":                           {"https://b.test{path}{query}", "/a", "https://b.test/a"},
		"an empty query":                     {"https://b.test{path}{query}", "/a?", "https://b.test/a?"},
		"a question mark of its own":         {"https://b.test{path}?{query}", "/a?c", "https://b.test/a?c"},
		"a question mark of its own, nobody": {"https://b.test{path}?{query}", "/a", "https://b.test/a"},
		"a query of its own":                 {"/new?from={path}&{query}", "/a?c", "/new?from=/a&c"},
		"a query of its own, nobody":         {"/new?from={path}&{query}", "/a?", "/new?from=/a"},
		"a path below":                       {"/new{path}", "//evil.test", "/new//evil.test"},
		"a path that looks like a host":      {"{path}", "//evil.test/x", "/evil.test/x"},
		"one with a backslash":               {"{path}", "/\\evil.test", "/%5Cevil.test"},
		"the whole server":                   {"https://b.test{path}", "*", "https://b.test/"},
		"what must not stand in a URL":       {"https://b.test{path}", "/\"<>ä|^`{}", "https://b.test/%22%3C%3E%C3%A4%7C%5E%60%7B%7D"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &route.Redirect{To: tt.to}
			if err := (&route.Policy{Redirect: spec}).Check(""); err != nil {
				t.Fatal(err)
			}
			method := "GET "
			if tt.target == "*" {
				method = "OPTIONS "
			}
			x := arrived(t, "192.0.2.1:1", Config{}, method+tt.target+" HTTP/1.1", "Host: Shop.Test:81")
			page, err := newRedirect(spec).pass(x)
			if err != nil || page.fields[0].value != tt.want || page.status != 308 {
				t.Errorf("got %+v and %v, want %s", page, err, tt.want)
			}
		})
	}
}

// FuzzRedirect has clients ask for whatever they like: none is sent to a host
// that the route does not name, and nothing follows the field.
func FuzzRedirect(f *testing.F) {
	f.Add("/a?b", "shop.test", "{path}{query}")
	f.Add("//evil.test/?a", "shop.test:80", "{path}x")
	f.Add("/\\/evil.test", "[::1]", "{path}?{query}")
	f.Add("///evil.test?\\", "shop.test", "https://b.test{path}?x={host}&{query}")
	f.Fuzz(func(t *testing.T, target, host, to string) {
		spec := &route.Redirect{To: to}
		if (&route.Policy{Redirect: spec}).Check("") != nil {
			t.Skip()
		}
		x := &exchange{g: &Gateway{}, origin: &origin{ip: "192.0.2.1"}}
		if x.request.Parse([]byte("GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")) != nil {
			t.Skip()
		}
		x.req = &x.request
		x.locate()
		got := string(newRedirect(spec).location(nil, x))
		for i := range len(got) {
			if got[i] <= ' ' || got[i] >= 0x7f || got[i] == '\\' {
				t.Fatalf("%q holds what must not stand in a URL", got)
			}
		}
		if !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "{path}") {
			return
		}
		if u, err := url.Parse(got); err == nil && (u.Host != "" || u.Scheme != "") || strings.HasPrefix(got, "//") || !strings.HasPrefix(got, "/") {
			t.Fatalf("%q leads away from the host", got)
		}
	})
}
