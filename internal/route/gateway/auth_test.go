package gateway

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"naru/internal/route"
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
	a.turn.Lock() // from here on nothing can be compared
	defer a.turn.Unlock()
	x := showing(t, "192.0.2.2:1", "ann:secret")
	if page, err := a.pass(x); page != nil || err != nil {
		t.Fatal(page, err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = a.pass(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAFloodOfPasswordsWaitsInAShortLine(t *testing.T) {
	a := newTestAuth()
	shared := newLogins(1)
	begin := func(i int, from string) *login {
		said := fmt.Sprintf("ann:wrong%d", i)
		x := showing(t, from, said)
		return a.begin(&exchange{g: &Gateway{logins: logins{slots: shared.slots}}, origin: x.origin, req: x.req}, a.digest([]byte(said)), []byte(said))
	}
	a.turn.Lock()
	first := begin(0, "[2001:db8::1]:1")
	if again := begin(0, "192.0.2.99:1"); again != first {
		t.Error("equal names and passwords are compared twice")
	}
	for i := 1; i < maxFrom; i++ {
		if begin(i, fmt.Sprintf("[2001:db8::%d]:1", i+1)) == nil {
			t.Fatal("one visitor may have", maxFrom)
		}
	}
	if begin(maxFrom, "[2001:db8::ffff]:1") != nil {
		t.Error("one visitor has more in the line than it may")
	}
	for i := maxFrom; i < maxLine; i++ {
		if begin(i, fmt.Sprintf("192.0.2.%d:1", i)) == nil {
			t.Fatal("the line may hold", maxLine)
		}
	}
	if begin(maxLine, "198.51.100.1:1") != nil {
		t.Error("the line is longer than it may be")
	}
	x := showing(t, "198.51.100.1:1", "ann:secret")
	if page, err := a.pass(x); err != nil || page == nil || page.status != 503 || page.retry == 0 {
		t.Errorf("got %+v and %v for one too many", page, err)
	}
	a.turn.Unlock()
	<-first.done
	for {
		a.mu.Lock()
		var next *login
		for _, l := range a.line {
			next = l
		}
		a.mu.Unlock()
		if next == nil {
			break
		}
		if <-next.done; next.ok {
			t.Error("a wrong password is right")
		}
	}
	if len(a.from) != 0 || len(*a.known.Load()) != 0 {
		t.Errorf("%d visitors in the line, %d known", len(a.from), len(*a.known.Load()))
	}
	if page, err := a.pass(x); page != nil || err != nil {
		t.Error("after the flood a right password is not let in", page, err)
	}
}

func TestAnUnknownNameCostsAsMuchAsAKnownOne(t *testing.T) {
	a := newTestAuth()
	a.turn.Lock()
	defer a.turn.Unlock()
	seen := map[string]bool{}
	for i := range 2 {
		x := showing(t, "192.0.2.1:1", "bob:x")
		said := fmt.Appendf(nil, "bob:%d", i)
		l := a.begin(x, a.digest(said), said)
		if l.real || len(l.hash) != 60 {
			t.Fatalf("%+v", l)
		}
		seen[string(l.hash)] = true
	}
	if len(seen) != 1 {
		t.Error("a name that nobody has is compared now with one, now with another")
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
