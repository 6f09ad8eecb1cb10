package route_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/route"
)

func change(t *testing.T, have route.Terms, patch string) route.Terms {
	t.Helper()
	c, err := route.ParseChange([]byte(patch))
	must(t, err)
	got, err := c.Apply(have)
	must(t, err)
	return got
}

func TestChangeIsAMergePatch(t *testing.T) {
	for name, tc := range map[string]struct{ have, patch, want string }{
		"to nothing":                     {`{}`, `{"policy":{"https":true}}`, `{"policy":{"https":true}}`},
		"nothing":                        {`{"limits":{"body":7}}`, `{}`, `{"limits":{"body":7}}`},
		"beside what is there":           {`{"policy":{"https":true}}`, `{"policy":{"hsts":"1h"}}`, `{"policy":{"https":true,"hsts":"1h0m0s"}}`},
		"a member of an object":          {`{"policy":{"redirect":{"to":"/a","status":301}}}`, `{"policy":{"redirect":{"to":"/b"}}}`, `{"policy":{"redirect":{"to":"/b","status":301}}}`},
		"null removes":                   {`{"policy":{"https":true,"redirect":{"to":"/a"}}}`, `{"policy":{"redirect":null}}`, `{"policy":{"https":true}}`},
		"null removes all":               {`{"policy":{"https":true},"limits":{"body":7}}`, `{"policy":null,"limits":null}`, `{}`},
		"a list whole":                   {`{"policy":{"rates":[{"requests":1},{"requests":2}]}}`, `{"policy":{"rates":[{"requests":3,"per":"1m"}]}}`, `{"policy":{"rates":[{"requests":3,"per":"1m0s"}]}}`},
		"an empty list":                  {`{"policy":{"rates":[{"requests":1}]}}`, `{"policy":{"rates":[]}}`, `{}`},
		"an object that says all":        {`{}`, `{"policy":{"breaker":{}}}`, `{"policy":{"breaker":{}}}`},
		"the last address":               {`{"policy":{"addresses":{"allow":["::1"]}}}`, `{"policy":{"addresses":{"allow":null}}}`, `{}`},
		"the last header":                {`{"policy":{"response":{"set":{"A":"b"}}}}`, `{"policy":{"response":{"set":{"A":null}}}}`, `{}`},
		"the last timeout":               {`{"timeouts":{"total":"1s"}}`, `{"timeouts":{"total":null}}`, `{}`},
		"false":                          {`{"policy":{"https":true}}`, `{"policy":{"https":false}}`, `{}`},
		"a large number stays one":       {`{}`, `{"limits":{"body":9007199254740993}}`, `{"limits":{"body":9007199254740993}}`},
		"null where nothing was removes": {`{}`, `{"policy":{"health":null}}`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			var have, want route.Terms
			must(t, json.Unmarshal([]byte(tc.have), &have))
			must(t, json.Unmarshal([]byte(tc.want), &want))
			if got := change(t, have, tc.patch); !reflect.DeepEqual(got, want) {
				text, _ := json.Marshal(got)
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}

func TestWhatDoesNotWorkIsNamed(t *testing.T) {
	for patch, want := range map[string]string{
		``:                            "body: not JSON: EOF",
		`{} {}`:                       "body: not JSON: something follows behind its end",
		`[]`:                          "body: it is a list, want an object",
		`{"polcy":{}}`:                "polcy: is not known; there are limits, policy, timeouts",
		`{"policy":7}`:                "policy: it is 7, want an object",
		`{"policy":{"http":true}}`:    "policy.http: is not known; there are addresses, auth,",
		`{"policy":{"https":"yes"}}`:  `policy.https: it is "yes", want true or false`,
		`{"policy":{"hsts":"soon"}}`:  `policy.hsts: "soon" is not a duration`,
		`{"policy":{"hsts":3}}`:       "policy.hsts: it is 3, want a text such as 90s",
		`{"policy":{"rates":{}}}`:     "policy.rates: it is an object, want a list",
		`{"policy":{"rates":[null]}}`: "policy.rates[0]: it is null, want a value",
		`{"policy":{"rates":[{"requests":1},{"requests":"many"}]}}`:               `policy.rates[1].requests: it is "many", want a number`,
		`{"policy":{"rates":[{"requests":-1}]}}`:                                  "policy.rates[0].requests: -1 is not between 0 and 1e+06",
		`{"policy":{"rates":[{}]}}`:                                               "policy.rates[0].requests: is missing",
		`{"policy":{"bulkhead":{"requests":1.5}}}`:                                "policy.bulkhead.requests: it is 1.5, want a whole number",
		`{"policy":{"bulkhead":{"requests":1e3}}}`:                                "policy.bulkhead.requests: it is 1e3, want a whole number",
		`{"policy":{"redirect":{"status":302}}}`:                                  "policy.redirect.to: is missing",
		`{"policy":{"response":{"set":{"Connection":"close"}}}}`:                  "policy.response.set: Connection belongs to the connection",
		`{"policy":{"response":{"set":{"A":7}}}}`:                                 "policy.response.set.A: it is 7, want a text",
		`{"limits":{"body":-1}}`:                                                  "limits.body: must not be negative",
		`{"timeouts":{"total":"-1s"}}`:                                            `timeouts.total: "-1s" is not a duration`,
		`{"policy":{"auth":{"users":{"ann":"short"}}}}`:                           "policy.auth.users.ann: the password has 5 bytes, want 8 to 72",
		`{"policy":{"auth":{"users":{"ann":"` + strings.Repeat("x", 73) + `"}}}}`: "policy.auth.users.ann: the password has 73 bytes, want 8 to 72",
		`{"policy":{"auth":{"users":{"ann":"***"}}}}`:                             "policy.auth.users.ann: ann has no password yet",
		`{"policy":{"auth":{"users":{"a:b":"long enough"}}}}`:                     `policy.auth.users: "a:b" is not a name`,
		`{"policy":{"auth":{}}}`:                                                  "policy.auth.users: has nobody",
		`{"policy":{"auth":{"users":{` + users(21) + `}}}}`:                       "policy.auth.users: there are more than 20 new passwords",
	} {
		c, err := route.ParseChange([]byte(patch))
		if err == nil {
			_, err = c.Apply(route.Terms{})
		}
		f := fault.Of(err)
		if f == nil || f.Kind == fault.Internal || !strings.HasPrefix(f.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", patch, err, want)
		}
	}
}

func users(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"user%02d":"long enough"`, i))
	}
	return strings.Join(all, ",")
}

func TestPasswordsAreHashedKeptAndNeverShown(t *testing.T) {
	have := change(t, route.Terms{}, `{"policy":{"auth":{"realm":"shop","users":{"ann":"first password","bob":"other password"}}}}`)
	hash := have.Policy.Auth.Users["ann"]
	must(t, bcrypt.CompareHashAndPassword([]byte(hash), []byte("first password")))

	have = change(t, have, `{"policy":{"auth":{"users":{"ann":"***","bob":null,"eve":"third password"}}}}`)
	if u := have.Policy.Auth.Users; u["ann"] != hash || u["bob"] != "" || len(u) != 2 || have.Policy.Auth.Realm != "shop" {
		t.Errorf("users = %v", u)
	}
	have = change(t, have, `{"policy":{"https":true}}`)
	if have.Policy.Auth.Users["ann"] != hash {
		t.Error("a change of something else lost a password")
	}
	// What looks like a hash is a password like others.
	if changed := change(t, have, `{"policy":{"auth":{"users":{"ann":"`+hash+`"}}}}`); changed.Policy.Auth.Users["ann"] == hash {
		t.Error("a hash was taken for a password")
	}
	shown := have.Shown()
	text, err := json.Marshal(shown)
	must(t, err)
	if strings.Contains(string(text), "$2") || shown.Policy.Auth.Users["ann"] != "***" || have.Policy.Auth.Users["ann"] != hash {
		t.Errorf("shown: %s", text)
	}
	// What is shown can be sent back.
	if again := change(t, have, string(text)); !reflect.DeepEqual(again, have) {
		t.Errorf("sent back: %+v, want %+v", again, have)
	}

	c, err := route.ParseChange([]byte(`{"policy":{"auth":{"users":{"ann":"first password"}},"hsts":"1h","breaker":{}},"limits":null}`))
	must(t, err)
	want := []string{"limits", "policy.auth.users.ann", "policy.breaker", "policy.hsts"}
	if got := c.Keys(); !reflect.DeepEqual(got, want) || !c.SetsPasswords() {
		t.Errorf("keys = %q, want %q", got, want)
	}
}

func TestShownIsWhole(t *testing.T) {
	have := route.Terms{Policy: &route.Policy{HSTS: app.Duration(time.Hour)}, Limits: &route.Limits{Body: 7}}
	if got := have.Shown(); !reflect.DeepEqual(got, have) {
		t.Errorf("shown: %+v", got)
	}
}

func TestWhen(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"method:post,get,post":              "method:GET,POST",
		"method:GET method:HEAD":            "method:GET,HEAD",
		"header:x-beta=1":                   "header:X-Beta=1",
		"header:X-Beta":                     "header:X-Beta",
		"cookie:b=c method:GET header:A=b":  "cookie:b=c header:A=b method:GET",
		"header:User-Agent=a b c cookie:d":  "cookie:d header:User-Agent=a b c",
		"header:A=b header:a=b":             "header:A=b",
		"  cookie:beta=yes":                 "cookie:beta=yes",
		"nonsense":                          "!",
		"method:":                           "!",
		"header:=x":                         "!",
		"cookie:beta yes=no header: method": "!",
	} {
		w, err := route.ParseWhen(text)
		got := w.Key()
		if f := fault.Of(err); err != nil && f.Kind == fault.Invalid && f.Field != "" {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
		if again, err := route.ParseWhen(got); want != "!" && (err != nil || !reflect.DeepEqual(again, w)) {
			t.Errorf("%q does not lead back to %+v", got, w)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever people send: it is refused by a fault, or gives terms that the gateway
// can follow and that can be sent back.
func FuzzChange(f *testing.F) {
	for _, seed := range []string{
		`{"policy":{"rates":[{"requests":1,"per":"1m","by":"client"}],"redirect":{"to":"/{path}"}},"limits":{"body":7},"timeouts":{"total":"1s"}}`,
		`{"policy":{"auth":{"users":{"ann":"***"}},"faults":[{"share":0.1,"abort":500}],"request":{"add":{"A":["b"]},"remove":["C"]}}}`,
		`{"policy":null,"timeouts":{"idle":null}}`, `{"policy":{"breaker":{},"sticky":{},"mirror":{"group":"g"},"health":{"path":"/"}}}`, `[]`, `{"policy":{"https":1e999}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := route.ParseChange(data)
		var terms route.Terms
		if err == nil {
			terms, err = c.Apply(route.Terms{})
		}
		if err != nil {
			if fault.Of(err).Kind == fault.Internal {
				t.Fatalf("%s: %v", data, err)
			}
			return
		}
		must(t, terms.Check())
		text, err := json.Marshal(terms.Shown())
		must(t, err)
		if again := change(t, terms, string(text)); !reflect.DeepEqual(again, terms) {
			t.Fatalf("%s gives %+v, and sent back %+v", data, terms, again)
		}
	})
}
