package gateway

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"naru/internal/route"
	"naru/internal/route/password"
)

// showing is a request with a name and a password.
func showing(t testing.TB, from, said string) *exchange {
	t.Helper()
	return arrived(t, from, Config{}, "GET / HTTP/1.1", "Host: shop.test",
		"Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(said)))
}

func newTestAuth() *auth {
	return newAuth(&route.Auth{Users: map[string]string{"ann": hashOfSecret, "eve": hashOfSecret}}).ready()
}

func TestPasswords(t *testing.T) {
	long := "$2a$04$VyL./5PhM07GiOSiDHSHzuKPM1c2PVVSb.hFkZ9uKcrP51uqEj3py" // of 72 times x
	a := newAuth(&route.Auth{Users: map[string]string{"ann": hashOfSecret, "long": long, "Zoë": hashOfSecret}}).ready()
	basic := func(said string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(said)) }
	for name, tt := range map[string]struct {
		field string
		want  int // status; 0: let in
	}{
		"right":                         {basic("ann:secret"), 0},
		"right, beyond ASCII":           {basic("Zoë:secret"), 0},
		"right, any case of the scheme": {"BASIC " + strings.TrimPrefix(basic("ann:secret"), "Basic "), 0},
		"wrong":                         {basic("ann:Secret"), 401},
		"empty":                         {basic("ann:"), 401},
		"of nobody":                     {basic("bob:secret"), 401},
		"without a name":                {basic(":secret"), 401},
		"without a colon":               {basic("ann"), 401},
		"with more behind it":           {basic("ann:secret:"), 401},
		"with a byte of zero":           {basic("ann:secret\x00secret"), 401},
		"more than bcrypt reads":        {basic("long:" + strings.Repeat("x", 73)), 401},
		"the hash itself":               {basic("ann:" + hashOfSecret), 401},
		"not base64":                    {"Basic ann:secret", 401},
		"too long":                      {basic("ann:" + strings.Repeat("x", 4096)), 401},
		"another scheme":                {"Bearer " + basic("ann:secret"), 401},
		"nothing":                       {"", 401},
		"a scheme alone":                {"Basic", 401},
	} {
		t.Run(name, func(t *testing.T) {
			x := arrived(t, "192.0.2.1:1", Config{}, "GET / HTTP/1.1", "Host: shop.test", "Authorization: "+tt.field)
			page, err := a.pass(x)
			got := 0
			if page != nil {
				got = page.status
			}
			if err != nil || got != tt.want {
				t.Errorf("got %d and %v, want %d", got, err, tt.want)
			}
		})
	}
}

func TestAPasswordThatWasRightIsNotComparedAgain(t *testing.T) {
	a := newTestAuth()
	if page, err := a.pass(showing(t, "192.0.2.1:1", "ann:secret")); page != nil || err != nil {
		t.Fatal(page, err)
	}
	x := showing(t, "192.0.2.2:1", "ann:secret")
	x.g.logins = nil // nothing can be compared
	if page, err := a.pass(x); page != nil || err != nil {
		t.Fatal(page, err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = a.pass(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAFloodOfPasswordsIsAnsweredAtOnce(t *testing.T) {
	a := newTestAuth()
	var line []*password.Try
	for i := 0; ; i++ { // from one network, until it may have no more in the line
		x := showing(t, fmt.Sprintf("[2001:db8::%d]:1", i+1), "")
		try, _ := a.list.Begin(fmt.Appendf(nil, "ann:wrong%d", i), network(x.visitor()))
		if try == nil {
			break
		}
		line = append(line, try)
	}
	x := showing(t, "[2001:db8::ffff]:1", "ann:secret")
	if page, err := a.pass(x); err != nil || page == nil || page.status != 503 || page.retry == 0 {
		t.Errorf("got %+v and %v for one too many", page, err)
	}
	for _, try := range line {
		x.g.logins.Compare(try)
	}
	x.g.logins.Wait()
	if page, err := a.pass(x); page != nil || err != nil {
		t.Error("after the flood a right password is not let in", page, err)
	}
}

func TestKnownPasswordsOutliveATableThatKeepsThem(t *testing.T) {
	spec := func(hash string) *route.Policy {
		return &route.Policy{Auth: &route.Auth{Users: map[string]string{"ann": hash}}, HSTS: 1}
	}
	first := newPolicy(spec(hashOfSecret), nil)
	if page, err := first.gates[0].pass(showing(t, "192.0.2.1:1", "ann:secret")); page != nil || err != nil {
		t.Fatal(page, err)
	}
	same := newPolicy(spec(hashOfSecret), first)
	if same.gates[0] != first.gates[0] {
		t.Error("it was forgotten who is known")
	}
	changed := newPolicy(spec("$2a$04$VyL./5PhM07GiOSiDHSHzuKPM1c2PVVSb.hFkZ9uKcrP51uqEj3py"), same)
	if page, err := changed.gates[0].pass(showing(t, "192.0.2.1:1", "ann:secret")); page == nil || err != nil {
		t.Error("the password before lets in:", err)
	}
}
