package resolve_test

import (
	"slices"
	"strings"
	"testing"

	"naru/internal/build/bake/resolve"
	"naru/internal/fault"
)

// archive turns "name version; Field: value; ..." lines into an index.
func archive(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		parts := strings.Split(l, "; ")
		name, version, _ := strings.Cut(parts[0], " ")
		b.WriteString("Package: " + name + "\nVersion: " + version + "\nArchitecture: amd64\nPriority: optional\n")
		for _, p := range parts[1:] {
			b.WriteString(p + "\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestInstall(t *testing.T) {
	for name, tc := range map[string]struct {
		index []string
		wish  string
		want  string
	}{
		"what is needed comes along": {[]string{"a 1; Depends: b, c", "b 1; Pre-Depends: d", "c 1", "d 1", "e 1"}, "a", "a b c d"},
		"the first alternative":      {[]string{"a 1; Depends: x | b | c", "b 1", "c 1"}, "a", "a b"},
		"one that is asked for anyway": {
			[]string{"a 1; Depends: b | c", "b 1", "c 1"}, "a c", "a c"},
		"versions count":              {[]string{"a 1; Depends: b (>= 2) | c", "b 1", "c 1"}, "a", "a c"},
		"an alternative that fails":   {[]string{"a 1; Depends: b | c", "b 1; Depends: missing", "c 1"}, "a", "a c"},
		"failing deep below":          {[]string{"a 1; Depends: b | c", "b 1; Depends: d", "d 1; Depends: e", "e 1; Depends: none", "c 1"}, "a", "a c"},
		"a real package over virtual": {[]string{"a 1; Depends: v", "p 1; Provides: v", "v 1"}, "a", "a v"},
		"provided":                    {[]string{"a 1; Depends: v", "p 1; Provides: v"}, "a", "a p"},
		"provided in a version":       {[]string{"a 1; Depends: v (>= 2)", "p 1; Provides: v", "q 1; Provides: v (= 2.1)"}, "a", "a q"},
		"the later mentioned provider": {
			[]string{"a 1; Depends: v", "p 1; Provides: v", "q 1; Provides: v"}, "a", "a q"},
		"mentioned in passing counts": {
			[]string{"0 1; Suggests: q", "a 1; Depends: v", "p 1; Provides: v", "q 1; Provides: v"}, "a", "a p"},
		"priority before that":  {[]string{"a 1; Depends: v", "p 1; Provides: v; Priority: standard", "q 1; Provides: v"}, "a", "a p"},
		"conflict leads around": {[]string{"a 1; Depends: b | c", "b 1; Conflicts: a", "c 1"}, "a", "a c"},
		"own name in conflicts": {[]string{"a 1; Provides: v; Conflicts: v", "b 1; Depends: a"}, "b", "a b"},
		"in circles":            {[]string{"a 1; Depends: b", "b 1; Depends: a"}, "a", "a b"},
		"any architecture":      {[]string{"a 1; Depends: py:any", "py 1; Multi-Arch: allowed"}, "a", "a py"},
		"no recommends":         {[]string{"a 1; Recommends: b; Suggests: c", "b 1", "c 1"}, "a", "a"},
		"the only provider":     {[]string{"p 1; Provides: v"}, "v", "p"},
		"needed by two, excluded by one": {
			[]string{"a 1; Depends: x | y", "b 1; Breaks: x", "x 1", "y 1"}, "a b", "a b y"},
	} {
		t.Run(name, func(t *testing.T) {
			u := resolve.NewUniverse("amd64")
			if err := u.Add("trixie", resolve.PinDefault, archive(tc.index...)); err != nil {
				t.Fatal(err)
			}
			got, err := resolve.Install(u, strings.Fields(tc.wish))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range got {
				names = append(names, c.Name)
				if c.Requested != slices.Contains(strings.Fields(tc.wish), c.Name) && tc.wish != "v" {
					t.Errorf("%s: Requested = %v", c.Name, c.Requested)
				}
			}
			if s := strings.Join(names, " "); s != tc.want {
				t.Errorf("got %s, want %s", s, tc.want)
			}
		})
	}
}

func TestSuites(t *testing.T) {
	u := resolve.NewUniverse("amd64")
	for _, s := range []struct {
		name string
		pin  int
		text string
	}{
		{"trixie", resolve.PinDefault, archive("a 1-1", "b 1", "only 1")},
		{"trixie-security", resolve.PinDefault, archive("a 1-1+deb13u1")},
		{"trixie-backports", resolve.PinUpgradeOnly, archive("a 2", "b 2; Depends: new", "new 1")},
	} {
		if err := u.Add(s.name, s.pin, s.text); err != nil {
			t.Fatal(err)
		}
	}
	for wish, want := range map[string]string{
		"a":                  "a=1-1+deb13u1",
		"b":                  "b=1",
		"new":                "new=1",
		"b/trixie-backports": "b=2 new=1",
		"a=1-1":              "a=1-1",
	} {
		got, err := resolve.Install(u, []string{wish})
		if err != nil {
			t.Errorf("%s: %v", wish, err)
			continue
		}
		var all []string
		for _, c := range got {
			all = append(all, c.Name+"="+c.Version)
		}
		if s := strings.Join(all, " "); s != want {
			t.Errorf("%s: got %s, want %s", wish, s, want)
		}
	}
}

func TestImpossibleWishesSayWhy(t *testing.T) {
	u := resolve.NewUniverse("amd64")
	err := u.Add("trixie", resolve.PinDefault, archive("a 1; Depends: gone", "b 1; Conflicts: c", "c 1", "p 1; Provides: v", "q 1; Provides: v", "x 1; Architecture: vax"))
	if err != nil {
		t.Fatal(err)
	}
	for wish, says := range map[string]string{
		"nothing": `package "nothing" is in none of the configured suites (trixie)`,
		"a":       "a 1 depends on gone",
		"b c":     "b 1 conflicts with c 1",
		"v":       "is virtual; it is provided by p, q",
		"c=2":     "there is 1",
		"c/sid":   "not available",
	} {
		got, err := resolve.Install(u, strings.Fields(wish))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v; want %q", wish, got, err, says)
		}
	}
}

func TestDamagedIndexesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no name":      "Version: 1\nArchitecture: amd64\n\n",
		"bad provides": "Package: a\nVersion: 1\nArchitecture: amd64\nProvides: b (\n\n",
	} {
		if err := resolve.NewUniverse("amd64").Add("trixie", resolve.PinDefault, text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
