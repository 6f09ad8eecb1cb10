package search_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/observe/logs/search"
	"naru/internal/route"
)

func line(text string) *search.Line {
	own := map[string]string{"source": "APP", "process": "web", "index": "3", "instance": "i-1", "stream": "stderr"}
	return &search.Line{Text: []byte(text), Folded: search.Fold(nil, []byte(text)), Meta: func(f string) string { return own[f] }}
}

func TestMatch(t *testing.T) {
	const (
		plain  = "GET /cart/7 from 10.0.0.1: Connection reset by peer after 30ms"
		object = `{"level":"warn","msg":"card \u00fcber limit","user":{"id":42,"na.me":"Ann"},"took":251.5,"ok":false,"source":"stripe"}`
		pairs  = `ts=2026-11-21T14:00:00Z level=error msg="no such \"order\"" order_id=A-7 took=12`
	)
	for _, c := range []struct {
		ask  string
		text string
		want bool
	}{
		{"reset", plain, true},
		{"RESET", plain, true},
		{"rese", plain, false},
		{"rese*", plain, true},
		{"eset*", plain, false},
		{"30ms", plain, true},
		{"30", plain, false},
		{`"connection reset"`, plain, true},
		{`"reset connection"`, plain, false},
		{`"connection res"`, plain, false},
		{`"connection res"*`, plain, true},
		{"10.0.0.1", plain, true},
		{"10.0.1", plain, false},
		{"/cart/7", plain, true},
		{"get reset", plain, true},
		{"get AND reset", plain, true},
		{"get post", plain, false},
		{"post OR reset", plain, true},
		{"post OR put", plain, false},
		{"get NOT post", plain, true},
		{"get NOT reset", plain, false},
		{"NOT post", plain, true},
		{"post OR get NOT reset", plain, false},
		{"(post OR get) reset", plain, true},
		{"post OR get reset", plain, true}, // AND binds before OR
		{"^get", plain, true},
		{"^cart", plain, false},
		{"^get", "  [get] x", true},
		{"NEAR(connection after)", plain, true},
		{"NEAR(connection after, 3)", plain, true},
		{"NEAR(connection after, 2)", plain, false},
		{"NEAR(after connection, 3)", plain, true},
		{`NEAR("reset by" get, 20)`, plain, true},
		{"NEAR(connection pear)", plain, false},
		{"NEAR(a b, 1)", "a x x x b x x a b", true},
		{"near connection", plain, false}, // a word like others
		{"über", "ÜBER Nacht", true},
		{"nacht", "ÜBER Nacht", true},
		{"error", "\x1b[31mERROR\x1b[0m: x", true},
		{"日本", "日本 語", true},

		{"source=app", plain, true},
		{"source=RTR", plain, false},
		{"source!=RTR", plain, true},
		{"index>=3 process=w*", plain, true},
		{"index>3", plain, false},

		{"level=warn", object, true},
		{"level=WARN", object, true},
		{"level=war", object, false},
		{"level=war*", object, true},
		{"user.id=42", object, true},
		{"user.id>41.5", object, true},
		{"user.id<42", object, false},
		{"user.id=4", object, false},
		{"user.nobody=4", object, false},
		{"user.nobody!=4", object, true},
		{"took>=250 took<=251.5", object, true},
		{"ok=false", object, true},
		{"msg=\"card über limit\"", object, true}, // though it is written with an escape
		{"source=stripe", object, false},
		{".source=stripe", object, true},
		{"level>3", object, false},

		{"level=error", pairs, true},
		{"order_id=A-7", pairs, true},
		{"order_id=A", pairs, false},
		{"id=A-7", pairs, false},
		{`msg="no such ""order"""`, pairs, true},
		{"took>11 took<13", pairs, true},
		{"status=500", "x [status=500,took=3]", true},
		{"response_time>0.2", `"GET / HTTP/1.1" 200 "10.0.0.1:8080" response_time:0.25 app_id:"a-1"`, true},
		{"app_id=a-1", `"GET / HTTP/1.1" 200 "10.0.0.1:8080" response_time:0.25 app_id:"a-1"`, true},
	} {
		e, err := search.Parse(c.ask)
		if err != nil {
			t.Errorf("%s: %v", c.ask, err)
			continue
		}
		l := line(c.text)
		if got := e.Match(l); got != c.want {
			t.Errorf("%s on %s: %t", c.ask, c.text, got)
		}
		if !c.want {
			continue
		}
		// What is said to be needed is there, or lines would be passed over.
		words := map[string]bool{}
		for _, w := range search.Words(l.Folded) {
			words[string(w)] = true
		}
		for _, w := range e.Needs(search.Text) {
			if !words[string(w)] {
				t.Errorf("%s needs %q, which is not in %s", c.ask, w, c.text)
			}
		}
	}
}

func TestRouter(t *testing.T) {
	access := route.Access{
		Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Host: "shop.example", Method: "POST", URI: "/cart?item=7&x=a b", Proto: "HTTP/1.1", Status: 503, Received: 12, Sent: 34,
		Agent: `a "quoted" agent`, Client: "192.0.2.1:99", Upstream: "10.64.0.7:8080", RequestID: "r-1", Took: 250 * time.Millisecond, Problem: "no instance",
	}
	text := access.Line()
	for ask, want := range map[string]bool{
		"status=503": true, "status>=500": true, "status>=504": false, "status=50": false, "status=50*": true, "status!=200": true,
		"method=post": true, "method=GET": false, "path=/cart": true, "path=/c*": true, "path=/cart/7": false, `uri="/cart?item=7"*`: true, `query="item=7"*`: true, "host=shop.example": true,
		"protocol=HTTP/1.1": true, "received>11": true, "sent<=34": true, "agent=\"a \"\"quoted\"\" agent\"": true, "client=192.0.2.1:99": true,
		"upstream=10.64.0.7*": true, "referer=-": false, "referer!=x": true, "duration>=0.25 duration<0.26": true, "response_time>=0.25": true, "request_id=r-1": true,
		"problem=\"no instance\"": true, "nothing=1": false, "status>=500 OR level=error": true, "status>=500 AND level=error": false, "status>=500 NOT method=GET": true,
	} {
		e, err := search.Parse(ask)
		if err != nil {
			t.Errorf("%s: %v", ask, err)
			continue
		}
		l := line(text)
		l.Form = search.Router
		if got := e.Match(l); got != want {
			t.Errorf("%s on %s: %t", ask, text, got)
		}
		if !want {
			continue
		}
		words := []string{""}
		for _, w := range search.Words(l.Folded) {
			words = append(words, string(w))
		}
		for _, w := range append(e.Needs(search.Router), e.Rarest(search.Text, search.Router)) {
			if !slices.Contains(words, string(w)) {
				t.Errorf("%s needs %q, which is not in %s", ask, w, text)
			}
		}
		if l.Form = search.Text; strings.HasPrefix(ask, "status") && !strings.Contains(ask, "!=") && e.Match(l) {
			t.Errorf("%s on an app's own line", ask)
		}
	}
	for _, text := range []string{"", "x", "h - [", `h - [t] "GET`, `h - [t] "GET / HTTP/1.1`, `h - [t] "GET / HTTP/1.1" 200`, `h - [t] "GET / HTTP/1.1" 200 1 2 "-`} {
		for _, f := range search.OfRouter {
			e, err := search.Parse(f + "=nothing")
			if err != nil {
				t.Fatal(err)
			}
			l := line(text)
			if l.Form = search.Router; e.Match(l) {
				t.Errorf("%s=nothing on %q", f, text)
			}
		}
	}
}

func TestNeeds(t *testing.T) {
	for ask, want := range map[string]string{
		"a b* c":                 "a c",
		`"a b" OR c`:             "",
		"(a b) OR (b c)":         "b",
		"a NOT b":                "a",
		"user.id=42":             "id 42",
		"level!=info":            "",
		"source=RTR":             "",
		`msg="a & b"`:            "msg",
		"path=/cart*":            "path",
		"NEAR(one two, 3) AND x": "one two x",
	} {
		e, err := search.Parse(ask)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range e.Needs(search.Text) {
			got = append(got, string(w))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s needs %q, not %q", ask, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for ask, want := range map[string]string{
		"":                                    "the end at 1",
		"a AND":                               "the end at 6",
		"a OR OR b":                           `"OR" at 6`,
		"(a":                                  "( at 1",
		"a)":                                  `")" at 2`,
		`a "b`:                                "quote at 3",
		"--":                                  "no letter",
		"status=":                             "no value",
		"status>=high":                        "compares numbers",
		"=3":                                  `"=" at 1`,
		"a!b":                                 "! at 2",
		"NEAR(a b, x)":                        "not a number",
		"NEAR()":                              "written NEAR",
		strings.Repeat("(", 40) + "a":         "more than 32",
		strings.Repeat("a", search.MaxText+1): "4097 bytes",
	} {
		_, err := search.Parse(ask)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %s", ask, err, want)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add(`a "b c" OR x.y>=3 NEAR(d e, 2) ^f`, "a\x1b[1mB c {\"x\":{\"y\":4}}")
	f.Fuzz(func(t *testing.T, ask, text string) {
		e, err := search.Parse(ask)
		if err != nil {
			return
		}
		text = strings.ToValidUTF8(text, "\uFFFD")
		l := line(text)
		if len(l.Folded) != len(text) {
			t.Fatalf("folding %q made %d bytes of %d", text, len(l.Folded), len(text))
		}
		if !e.Match(l) {
			return
		}
		words := map[string]bool{}
		for _, w := range search.Words(l.Folded) {
			words[string(w)] = true
		}
		for _, w := range e.Needs(search.Text) {
			if !words[string(w)] {
				t.Errorf("%q needs %q, which is not in %q", ask, w, text)
			}
		}
	})
}

func TestFold(t *testing.T) {
	var all []byte
	for c := range 128 {
		all = append(all, byte(c))
	}
	for name, c := range map[string][2]string{
		"ASCII":                           {string(all[:27]) + string(all[28:]), strings.ToLower(string(all[:27]) + string(all[28:]))},
		"a letter in the middle of eight": {"ABCDÄFGHIJKLMNOP", "abcdäfghijklmnop"},
		"escape":                          {"ABCDEFG\x1b[1;31mHIJKLMNOPQRSTUV", "abcdefg       hijklmnopqrstuv"},
		"a letter that grows":             {"İSTANBUL", "İstanbul"},
		"not UTF-8":                       {"A\xffB\xc3", "a\xffb\xc3"},
	} {
		for cut := range 9 {
			text := strings.Repeat("X", cut) + c[0]
			want := strings.Repeat("x", cut) + c[1]
			if got := string(search.Fold(nil, []byte(text))); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			if got := string(search.Fold(make([]byte, 0, 100+len(text)), []byte(text))); got != want {
				t.Errorf("%s, with room: %q, want %q", name, got, want)
			}
		}
	}
}
