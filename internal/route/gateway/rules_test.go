package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"naru/internal/route"
	"naru/internal/route/h1"
)

// everyPlaceholder is a value with all of them.
const everyPlaceholder = "{client} {host} {method} {path} {request_id} {group}"

func TestTemplate(t *testing.T) {
	x := arrived(t, "192.0.2.1:1", Config{}, "PUT /a%0D%0Ab?q=1 HTTP/1.1", "Host: Shop.Test:81", "X-Request-Id: 7")
	for text, want := range map[string]string{
		"":               "",
		"plain":          "plain",
		everyPlaceholder: "192.0.2.1 shop.test PUT /a%0D%0Ab 7 shop-v001",
		"{path}{path}":   "/a%0D%0Ab/a%0D%0Ab",
		"{query}":        "q=1",
		"a {nobody} b":   "a {nobody} b",
		"{{host}}":       "{host}",
		"{{{host}}}":     "{shop.test}",
		"{host}}":        "shop.test}",
		`{{"a":1}} {{}}`: `{"a":1} {}`,
		"{{":             "{",
		"{host}{{{{":     "shop.test{{",
		"{host":          "{host",
		"}{":             "}{",
	} {
		if got := string(newTemplate(text).appendTo(nil, x)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	x.group.name = "a\r\nX-Evil: 1\x7f"
	if got := string(newTemplate("{group}").appendTo(nil, x)); got != "a??X-Evil: 1?" {
		t.Errorf("a group's name became %q", got)
	}
}

// mostRules are as many as a policy may have, with values that a client writes.
func mostRules() *route.Rules {
	r := &route.Rules{Set: map[string]string{}, Add: map[string][]string{}}
	for i := range route.MaxRules / 4 {
		r.Remove = append(r.Remove, fmt.Sprint("X-Removed-", i))
		r.Set[fmt.Sprint("X-Set-", i)] = everyPlaceholder
		r.Add["X-Added"] = append(r.Add["X-Added"], fmt.Sprint(i), everyPlaceholder)
	}
	return r
}

func TestMostRulesCostNoAllocation(t *testing.T) {
	spec := &route.Policy{Request: mostRules(), Auth: &route.Auth{Users: map[string]string{"ann": hashOfSecret}}}
	if err := spec.Check(""); err != nil {
		t.Fatal(err)
	}
	head := []string{"GET / HTTP/1.1", "Host: shop.test", "Authorization: Basic x", "Accept: */*"}
	for i := range 16 {
		head = append(head, fmt.Sprintf("x_Removed-%d: 1", i), fmt.Sprintf("X-SET_%d: 1", i), fmt.Sprintf("X-Kept-%d: 1", i))
	}
	x := arrived(t, "192.0.2.1:1", Config{}, head...)
	x.trace.Of(x.req)
	x.entry.policy = newPolicy(spec, nil)
	out := string(x.head())
	for i := range 16 {
		for text, want := range map[string]int{
			fmt.Sprintf("emoved-%d: ", i):                              0,
			fmt.Sprintf("\r\nX-Kept-%d: 1\r\n", i):                     1,
			fmt.Sprintf("\r\nX-Set-%d: 192.0.2.1 shop.test GET / ", i): 1,
			fmt.Sprintf("X-SET_%d", i):                                 0,
			fmt.Sprintf("\r\nX-Added: %d\r\n", i):                      1,
			"\r\nX-Added: 192.0.2.1 shop.test GET / ":                  16,
			"Authorization":                                            0,
		} {
			if got := strings.Count(out, text); got != want {
				t.Errorf("%q is there %d times, want %d", text, got, want)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { x.head() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestTheSameFieldsOverBothProtocols compares what rules make of an answer.
func TestTheSameFieldsOverBothProtocols(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nServer: inner\r\nX-A: 1\r\nX_B: 2\r\nX-C: 3\r\nx-c: 4\r\nDate: now\r\nContent-Length: 0\r\n\r\n"
	for name, rules := range map[string]*route.Rules{
		"remove":  {Remove: []string{"server", "X-B", "DATE", "X-Request-Id"}},
		"set":     {Set: map[string]string{"x-a": "{group}", "X-New": "{path}", "X-C": ""}},
		"add":     {Add: map[string][]string{"X-C": {"5", "6"}, "x-new": {"7"}}},
		"all":     {Remove: []string{"X-A"}, Set: map[string]string{"X-C": "1"}, Add: map[string][]string{"X-A": {"9"}, "X-C": {"2"}}},
		"nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			x := arrived(t, "192.0.2.1:1", Config{}, "GET /p HTTP/1.1", "Host: shop.test")
			if why := x.answer.Parse([]byte(answer), false); why != nil {
				t.Fatal(why)
			}
			x.entry.policy = newPolicy(&route.Policy{Response: rules}, nil)
			var plain h1.Response
			if why := plain.Parse((&conn{}).answerHead(x), false); why != nil {
				t.Fatal(why)
			}
			first := map[string][]string{}
			for i := range plain.Fields {
				name := http.CanonicalHeaderKey(strings.ReplaceAll(string(plain.Name(&plain.Fields[i])), "_", "-"))
				first[name] = append(first[name], string(plain.Value(&plain.Fields[i])))
			}
			second := map[string][]string{}
			w := &headerOnly{h: http.Header{}}
			s := &h2stream{w: w}
			if err := s.respond(x, nil, 0, 0, true); err != nil {
				t.Fatal(err)
			}
			for name, values := range w.h {
				if name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); len(values) > 0 {
					second[name] = append(second[name], values...)
				}
			}
			if fmt.Sprint(first) != fmt.Sprint(second) {
				t.Errorf("HTTP/1: %v\nHTTP/2: %v", first, second)
			}
		})
	}
}

type headerOnly struct {
	http.ResponseWriter
	h http.Header
}

func (w *headerOnly) Header() http.Header { return w.h }
func (w *headerOnly) WriteHeader(int)     {}

// FuzzRules has clients write what rules repeat: an app must read the head as it
// was meant.
func FuzzRules(f *testing.F) {
	f.Add("GET", "/a%0d%0aX-Evil:%201", "shop.test", "1", "id", "{path}")
	f.Add("A{host}", "/{path}?{query}\n", "[::1]:80", "6.6.6.6, nonsense", "{path}", everyPlaceholder)
	f.Add("OPTIONS", "*", "shop.test.", "\t", "x", "{client}{group}")
	f.Fuzz(func(t *testing.T, method, target, host, said, id, value string) {
		rules := &route.Rules{Remove: []string{"X-Gone"}, Set: map[string]string{"X-Set": value}, Add: map[string][]string{"X-Added": {value}}}
		policy := &route.Policy{Request: rules, Response: rules}
		if policy.Check("") != nil {
			t.Skip()
		}
		x := &exchange{g: &Gateway{}, origin: &origin{ip: "192.0.2.1", trusted: true}}
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nX-Gone: %s\r\nX_Set: %s\r\nX-Forwarded-For: %s\r\nX-Request-Id: %s\r\n\r\n", method, target, host, said, said, said, id)
		if strings.ContainsAny(method+target+host+said+id, "\n") || x.request.Parse([]byte(head)) != nil {
			t.Skip() // lines of its own, or not let in
		}
		x.req = &x.request
		x.locate()
		x.identify()
		x.trace.Of(x.req)
		x.entry = &entry{policy: newPolicy(policy, nil)}
		x.group = &group{name: "shop-v001"}
		var sent h1.Request
		if why := sent.Parse(bytes.Clone(x.head())); why != nil {
			t.Fatalf("the app reads %q: %v", x.out, why)
		}
		count := map[string]int{}
		for i := range sent.Fields {
			count[strings.ReplaceAll(strings.ToLower(string(sent.Name(&sent.Fields[i]))), "_", "-")]++
		}
		if count["x-set"] != 1 || count["x-added"] != 1 || count["x-gone"] != 0 {
			t.Fatalf("the app reads %q", x.out)
		}
		if string(sent.Method) != string(x.req.Method) || string(sent.Path) != string(x.req.Path) || string(sent.Host()) != string(x.req.Host()) {
			t.Fatalf("the app reads another request: %q", x.out)
		}
	})
}
