package domain

import (
	"slices"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/route"
)

func TestWhatItTakesToHaveAHost(t *testing.T) {
	for name, c := range map[string]struct {
		host     string
		holders  string // HOST:SPACE, separated by spaces; the one who asks is a
		optional bool   // proofs are
		want     Need
	}{
		"a name below the apps domain":           {host: "shop.apps.example", want: Need{Kind: Nothing}},
		"the apps domain's wildcard":             {host: "*.apps.example", want: Need{Kind: Nothing}},
		"another's wildcard over all apps":       {host: "shop.apps.example", holders: "*.apps.example:b", want: Need{Kind: Nothing}},
		"another's wildcard over more than that": {host: "shop.apps.example", holders: "*.example:b", want: Need{Kind: Nothing}},
		"another's wildcard over some apps":      {host: "x.shop.apps.example", holders: "*.shop.apps.example:b", want: Need{Kind: Taken, Below: "shop.apps.example"}},
		"a wildcard below another's":             {host: "*.x.shop.apps.example", holders: "*.shop.apps.example:b *.apps.example:a", want: Need{Kind: Taken, Below: "shop.apps.example"}},
		"one's own wildcard over some apps":      {host: "x.shop.apps.example", holders: "*.shop.apps.example:a", want: Need{Kind: Nothing}},
		"another path of another's app":          {host: "shop.apps.example", holders: "shop.apps.example:b", want: Need{Kind: Nothing}},

		"outside":                            {host: "shop.org", want: Need{Kind: Proof}},
		"outside, and nobody minds":          {host: "shop.org", optional: true, want: Need{Kind: Nothing}},
		"a wildcard outside":                 {host: "*.shop.org", want: Need{Kind: Proof}},
		"over the apps domain":               {host: "*.example", want: Need{Kind: Proof}},
		"what one has":                       {host: "shop.org", holders: "shop.org:a", want: Need{Kind: Nothing}},
		"what one shares":                    {host: "shop.org", holders: "shop.org:a shop.org:b", want: Need{Kind: Nothing}},
		"what one's wildcard answers for":    {host: "www.shop.org", holders: "*.shop.org:a", want: Need{Kind: Nothing}},
		"though a farther one is another's":  {host: "a.b.shop.org", holders: "*.shop.org:b *.b.shop.org:a", want: Need{Kind: Nothing}},
		"a wildcard that is shared":          {host: "www.shop.org", holders: "*.shop.org:b *.shop.org:a", want: Need{Kind: Nothing}},
		"what another has":                   {host: "www.shop.org", holders: "www.shop.org:b", want: Need{Kind: Token, Below: "shop.org"}},
		"what another has below one's own":   {host: "www.shop.org", holders: "*.shop.org:a www.shop.org:b", want: Need{Kind: Token, Below: "shop.org"}},
		"what another's wildcard has":        {host: "a.b.shop.org", holders: "*.shop.org:b", want: Need{Kind: Token, Below: "shop.org"}},
		"a wildcard below another's outside": {host: "*.b.shop.org", holders: "*.shop.org:b", want: Need{Kind: Token, Below: "shop.org"}},
		"the same wildcard":                  {host: "*.shop.org", holders: "*.shop.org:b", want: Need{Kind: Token, Below: "org"}},
		"another's, and nobody minds":        {host: "www.shop.org", holders: "*.shop.org:b", optional: true, want: Need{Kind: Token, Below: "shop.org"}},
		"a wildcard of another's all":        {host: "x.org", holders: "*.org:b", want: Need{Kind: Token, Below: "org"}},
	} {
		t.Run(name, func(t *testing.T) {
			var holders []route.Holder
			for _, h := range strings.Fields(c.holders) {
				host, space, _ := strings.Cut(h, ":")
				holders = append(holders, route.Holder{Host: host, Space: app.SpaceID(space)})
			}
			for range 2 {
				if got := needOf(c.host, "a", holders, "apps.example", !c.optional); got != c.want {
					t.Errorf("got %+v, want %+v (holders %v)", got, c.want, holders)
				}
				slices.Reverse(holders)
			}
		})
	}
}

func TestWhereTokensStand(t *testing.T) {
	for _, c := range []struct{ host, below, want string }{
		{"shop.example", "", "_naru.shop.example"},
		{"www.shop.example", "", "_naru.www.shop.example _naru.shop.example"},
		{"*.shop.example", "", "_naru.shop.example"},
		{"*.a.shop.example", "", "_naru.a.shop.example _naru.shop.example"},
		{"www.shop.co.uk", "", "_naru.www.shop.co.uk _naru.shop.co.uk"},
		{"me.github.io", "", "_naru.me.github.io"}, // nobody speaks for github.io
		{"co.uk", "", "_naru.co.uk"},
		{"www.shop.example", "shop.example", "_naru.www.shop.example"},
		{"*.shop.example", "example", "_naru.shop.example"},
		{"a.b.c.d.e.f.shop.example", "", "_naru.a.b.c.d.e.f.shop.example _naru.b.c.d.e.f.shop.example _naru.c.d.e.f.shop.example _naru.d.e.f.shop.example _naru.e.f.shop.example"},
	} {
		if got := strings.Join(records(c.host, c.below), " "); got != c.want {
			t.Errorf("%s below %q: %s, want %s", c.host, c.below, got, c.want)
		}
	}
}

func TestWhoAnswersAtAHost(t *testing.T) {
	for _, c := range []struct {
		host, holders string
		want          bool
	}{
		{"www.shop.org", "", true},
		{"www.shop.org", "www.shop.org:a", true},
		{"www.shop.org", "www.shop.org:b", false},
		{"www.shop.org", "www.shop.org:b www.shop.org:a", true},
		{"www.shop.org", "*.shop.org:b", false},
		{"www.shop.org", "*.shop.org:b www.shop.org:a", true},
		{"www.shop.org", "*.org:b *.shop.org:a", true},
		{"www.shop.org", "*.org:a *.shop.org:b", false},
		{"*.www.shop.org", "*.shop.org:b", false},
		{"*.shop.org", "*.shop.org:a *.org:b", true},
	} {
		var holders []route.Holder
		for _, h := range strings.Fields(c.holders) {
			host, space, _ := strings.Cut(h, ":")
			holders = append(holders, route.Holder{Host: host, Space: app.SpaceID(space)})
		}
		if got := Answers(c.host, "a", holders); got != c.want {
			t.Errorf("%s with %q: %v", c.host, c.holders, got)
		}
	}
}
