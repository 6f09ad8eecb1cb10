package rule_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/client"
	"naru/internal/client/rule"
	"naru/internal/fault"
	"naru/internal/route"
)

// apply is what the platform makes of a change.
func apply(t *testing.T, have client.Terms, c *rule.Change) client.Terms {
	t.Helper()
	p, err := c.Patch()
	must(t, err)
	patch, err := json.Marshal(p)
	must(t, err)
	change, err := route.ParseChange(patch)
	must(t, err)
	var before route.Terms
	convert(t, have, &before)
	after, err := change.Apply(before)
	must(t, err)
	var out client.Terms
	convert(t, after.Shown(), &out)
	return out
}

func convert(t *testing.T, from, to any) {
	t.Helper()
	data, err := json.Marshal(from)
	must(t, err)
	must(t, json.Unmarshal(data, to))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func second(n int) client.Duration { return client.Duration(time.Duration(n) * time.Second) }

func TestSet(t *testing.T) {
	for _, tc := range []struct {
		have string
		set  string // KEY=VALUE, or KEY to unset, apart by " ; "
		want string
	}{
		{`{}`, `https=true ; hsts=180d`, `{"policy":{"https":true,"hsts":"4320h0m0s"}}`},
		{`{"policy":{"https":true}}`, `https=false`, `{}`},
		{`{}`, `maintenance=Back at 10`, `{"policy":{"maintenance":{"message":"Back at 10"}}}`},
		{`{"policy":{"maintenance":{"message":"x","retry":"1m"}}}`, `maintenance=on`, `{"policy":{"maintenance":{"retry":"1m"}}}`},
		{`{"policy":{"maintenance":{"message":"x","retry":"1m"}}}`, `maintenance=off`, `{}`},
		{`{}`, `allow=10.0.0.0/8, 192.0.2.1 ; deny=10.0.0.1`, `{"policy":{"addresses":{"allow":["10.0.0.0/8","192.0.2.1"],"deny":["10.0.0.1"]}}}`},
		{`{"policy":{"addresses":{"allow":["::1"]}}}`, `allow`, `{}`},
		{`{}`, `redirect=https://new.example{path} ; redirect.status=301`, `{"policy":{"redirect":{"to":"https://new.example{path}","status":301}}}`},
		{`{"policy":{"redirect":{"to":"/a","status":301}}}`, `redirect.status`, `{"policy":{"redirect":{"to":"/a"}}}`},
		{`{"policy":{"redirect":{"to":"/a","status":301}}}`, `redirect`, `{}`},
		{`{}`, `rate=100/s ; rate.client=10/m,burst=20 ; rate.header.X-Team=5/30s`, `{"policy":{"rates":[{"requests":100},{"requests":10,"per":"1m","burst":20,"by":"client"},{"requests":5,"per":"30s","by":"header:X-Team"}]}}`},
		{`{"policy":{"rates":[{"requests":100,"by":"route"},{"requests":10,"by":"client"}]}}`, `rate=7`, `{"policy":{"rates":[{"requests":10,"by":"client"},{"requests":7}]}}`},
		{`{"policy":{"rates":[{"requests":100},{"requests":10,"by":"client"}]}}`, `rate.client`, `{"policy":{"rates":[{"requests":100}]}}`},
		{`{"policy":{"rates":[{"requests":100}]}}`, `rate=off`, `{}`},
		{`{"policy":{"rates":[{"requests":100}]}}`, `rates`, `{}`},
		{`{}`, `fault.delay=2s ; fault.share=10%`, `{"policy":{"faults":[{"delay":"2s","share":0.1}]}}`},
		{`{}`, `fault.abort=503 ; fault.header=X-Fault=a=b`, `{"policy":{"faults":[{"abort":503,"match":{"header":"X-Fault","value":"a=b"}}]}}`},
		{`{"policy":{"faults":[{"delay":"2s","abort":500,"share":0.1}]}}`, `fault.delay`, `{"policy":{"faults":[{"abort":500,"share":0.1}]}}`},
		{`{"policy":{"faults":[{"delay":"2s","share":0.1}]}}`, `fault.delay`, `{}`},
		{`{"policy":{"faults":[{"delay":"2s","share":0.1},{"abort":500,"share":0.1}]}}`, `fault`, `{}`},
		{`{}`, `bulkhead=50 ; bulkhead.queue=100 ; bulkhead.wait=5s`, `{"policy":{"bulkhead":{"requests":50,"queue":100,"wait":"5s"}}}`},
		{`{}`, `sticky=cookie ; sticky.max_age=1d`, `{"policy":{"sticky":{"max_age":"24h"}}}`},
		{`{"policy":{"sticky":{"cookie":"a","max_age":"1h"}}}`, `sticky=header:X-User`, `{"policy":{"sticky":{"header":"X-User"}}}`},
		{`{}`, `breaker=on`, `{"policy":{"breaker":{}}}`},
		{`{"policy":{"breaker":{"failed":0.3}}}`, `breaker=on`, `{"policy":{"breaker":{"failed":0.3}}}`},
		{`{"policy":{"breaker":{"failed":0.3}}}`, `breaker=off`, `{}`},
		{`{}`, `retries=2`, `{"policy":{"retries":{"attempts":3}}}`},
		{`{}`, `retries=off`, `{"policy":{"retries":{"attempts":1}}}`},
		{`{}`, `health=/healthz ; health.every=5s`, `{"policy":{"health":{"path":"/healthz","every":"5s"}}}`},
		{`{}`, `request.set.X-Foo=bar ; response.remove=Server,Via ; response.add.Link=a,b`, `{"policy":{"request":{"set":{"X-Foo":"bar"}},"response":{"remove":["Server","Via"],"add":{"Link":["a,b"]}}}}`},
		{`{}`, `response.set.X.Y=off`, `{"policy":{"response":{"set":{"X.Y":"off"}}}}`},
		{`{"policy":{"response":{"set":{"X.Y":"off","B":"c"}}}}`, `response.set.X.Y`, `{"policy":{"response":{"set":{"B":"c"}}}}`},
		{`{"policy":{"response":{"set":{"B":"c"}}}}`, `response`, `{}`},
		{`{}`, `mirror=shop-v042 ; mirror.share=0.1 ; mirror.body=1M`, `{"policy":{"mirror":{"group":"shop-v042","share":0.1,"body":1048576}}}`},
		{`{}`, `timeout.total=30s ; body=10MB`, `{"timeouts":{"total":"30s"},"limits":{"body":10485760}}`},
		{`{"timeouts":{"total":"30s","idle":"1s"},"limits":{"body":7}}`, `timeout ; body`, `{}`},
	} {
		t.Run(tc.set, func(t *testing.T) {
			var have, want client.Terms
			must(t, json.Unmarshal([]byte(tc.have), &have))
			must(t, json.Unmarshal([]byte(tc.want), &want))
			c := rule.Over(have)
			for _, one := range strings.Split(tc.set, " ; ") {
				key, value, set := strings.Cut(one, "=")
				if set {
					must(t, c.Set(key, value))
				} else {
					must(t, c.Unset(key))
				}
			}
			if got := apply(t, have, c); !reflect.DeepEqual(got, want) {
				text, _ := json.Marshal(got)
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}

func TestUsers(t *testing.T) {
	c := rule.Over(client.Terms{})
	c.User("ann", "long enough")
	c.User("bob.b", "long enough")
	have := apply(t, client.Terms{}, c)
	if !reflect.DeepEqual(have.Policy.Auth.Users, map[string]string{"ann": "***", "bob.b": "***"}) {
		t.Fatalf("users = %v", have.Policy.Auth.Users)
	}
}

func TestWhatCannotBeSetIsNamed(t *testing.T) {
	for set, want := range map[string]string{
		"redirct=x":              `there is no rule "redirct"`,
		"request.set.=x":         `there is no rule "request.set."`,
		"https=maybe":            `"maybe" is neither true nor false`,
		"hsts=soon":              `"soon" is not a time`,
		"hsts=99999d":            `"99999d" is not a time`,
		"rate=many":              `"many" is not a rate`,
		"rate=0/s":               `"0/s" is not a rate`,
		"rate=1e3/s":             `"1e3/s" is not a rate`,
		"rate=1/0s":              `"1/0s" is not a rate`,
		"rate=1/s,bust=3":        `"1/s,bust=3" is not a rate`,
		"fault.share=2":          `"2" is not a share`,
		"bulkhead=-1":            `"-1" is not a whole number`,
		"sticky=glue":            `"glue" is none of cookie`,
		"body=9999999999999T":    `"9999999999999T" is not a size`,
		"body=0":                 `"0" is not a size`,
		"allow=,":                "the list is empty",
		"breaker=maybe":          `"maybe" is neither`,
		"auth.user=ann":          "a password cannot be written here",
		"auth.user.ann=password": "a password on a command line is seen by others",
		"retries=often":          `"often" is not a whole number`,
	} {
		key, value, _ := strings.Cut(set, "=")
		err := rule.Over(client.Terms{}).Set(key, value)
		f := fault.Of(err)
		if f == nil || f.Kind != fault.Invalid || !strings.HasPrefix(f.Message, want) || f.Field == "" || f.Try == "" {
			t.Errorf("%s: %+v, want %s", set, f, want)
		}
	}
	two := client.Terms{Policy: &client.Policy{Faults: []client.Trouble{{Delay: second(1), Share: 1}, {Abort: 500, Share: 1}}}}
	if f := fault.Of(rule.Over(two).Set("fault.delay", "2s")); f == nil || !strings.Contains(f.Message, "2 faults") || f.Try == "" {
		t.Errorf("two faults: %v", f)
	}
}

// Every key is said by a line, and a line that is set again says the same.
func TestLinesLeadBack(t *testing.T) {
	c := rule.Over(client.Terms{})
	for _, k := range rule.Keys() {
		switch {
		case strings.HasPrefix(k.Name, "auth."), k.Name == "fault.cookie":
		case strings.HasSuffix(k.Name, "."):
			must(t, c.Set(k.Name+"X-Name", k.Sample))
		default:
			must(t, c.Set(k.Name, k.Sample))
		}
	}
	have := apply(t, client.Terms{}, c)
	again := rule.Over(client.Terms{})
	var said []string
	for _, l := range rule.Lines(have) {
		if l.Words == "" || strings.Contains(l.Words, "%!") {
			t.Errorf("%s=%s means %q", l.Key, l.Value, l.Words)
		}
		said = append(said, l.Key)
		must(t, again.Set(l.Key, l.Value))
	}
	if got := apply(t, client.Terms{}, again); !reflect.DeepEqual(got, have) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(have)
		t.Errorf("set again:\n%s\nwas:\n%s", a, b)
	}
	for _, k := range rule.Keys() {
		if strings.HasPrefix(k.Name, "auth.") || k.Name == "fault.cookie" {
			continue
		}
		if !slices.ContainsFunc(said, func(s string) bool {
			return s == k.Name || strings.HasPrefix(s, k.Name) && strings.HasSuffix(k.Name, ".")
		}) {
			t.Errorf("no line says %s", k.Name)
		}
		if k.Doc == "" || !rule.Known(k.Name) && !rule.Known(k.Name+"X") {
			t.Errorf("%+v is not whole", k)
		}
	}
}

func TestWords(t *testing.T) {
	var have client.Terms
	must(t, json.Unmarshal([]byte(`{"policy":{"rates":[{"requests":100},{"requests":1.5,"per":"90s","by":"client"},{"requests":3,"per":"1h","by":"cookie:a"}],
		"auth":{"users":{"bob":"***","ann":"***"}},"faults":[{"delay":"2s","share":0.125},{"abort":503,"delay":"1s","match":{"cookie":"bad","value":"100%"}}],
		"retries":{"attempts":1}}}`), &have))
	var got []string
	for _, l := range rule.Lines(have) {
		got = append(got, strings.Trim(l.Key+"="+l.Value, "=")+": "+l.Words)
	}
	want := []string{
		"auth.user=ann: ann may come, with a password",
		"auth.user=bob: bob may come, with a password",
		"rate=100/s: at most 100 requests a second of all visitors together",
		"rate.client=1.5/1m30s: at most 1.5 requests in 1m30s of each address",
		"rate.cookie.a=3/h: at most 3 requests an hour with each value of the cookie a",
		": 12.5 % of all requests wait 2s, on purpose",
		": requests with cookie bad=100% wait 1s and are answered 503, on purpose",
		"retries=0: a request is sent again at most 0 times",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	when := client.When{Methods: []string{"GET", "HEAD"}, Match: []client.Match{{Header: "X-Beta", Value: "1"}, {Cookie: "a"}}}
	if got := rule.WhenText(&when); got != "GET or HEAD, header X-Beta=1, cookie a" {
		t.Errorf("when = %q", got)
	}
}

func TestKeysOfFields(t *testing.T) {
	for field, want := range map[string]string{
		"policy.redirect.to": "redirect", "policy.redirect.status": "redirect.status", "policy.rates[3].requests": "rate", "policy.addresses.allow[1]": "allow",
		"policy.faults[0].share": "fault.share", "policy.auth.users.a.b": "auth.user", "policy.response.set.X-Foo": "response.set.X-Foo",
		"policy.response.remove": "response.remove", "policy.response.add.X[0]": "response.add.X", "limits.body": "body", "timeouts.total": "timeout.total",
		"policy.sticky.header": "sticky", "policy.maintenance.except[0]": "maintenance.except", "host": "host", "": "", "policy.health.path": "health",
		"policy.retries.attempts": "retries", "policy.request": "policy.request",
	} {
		if got := rule.KeyOf(field); got != want {
			t.Errorf("KeyOf(%q) = %q, want %q", field, got, want)
		}
	}
}
