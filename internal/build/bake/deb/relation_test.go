package deb_test

import (
	"testing"

	"naru/internal/build/bake/deb"
)

func TestParseRelations(t *testing.T) {
	got, err := deb.ParseRelations("libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0,python3:any (<<3.14), a(>1),")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"libc6 (>= 2.34)", "debconf (>= 0.5) | debconf-2.0", "python3:any (<< 3.14)", "a (>= 1)"}
	if len(got) != len(want) {
		t.Fatalf("got %d groups %v, want %d", len(got), got, len(want))
	}
	for i, or := range got {
		if or.String() != want[i] {
			t.Errorf("group %d = %q, want %q", i, or, want[i])
		}
	}
}

func TestParseRelationsRefuses(t *testing.T) {
	for name, field := range map[string]string{
		"no name":         "(>= 1)",
		"open bracket":    "a (>= 1",
		"text after":      "a (>= 1) b",
		"no operator":     "a (1)",
		"strange":         "a (=> 1)",
		"no version":      "a (>= )",
		"empty in or":     "a | | b",
		"architecture":    "a [amd64]",
		"build profile":   "a <!nocheck>",
		"two words":       "a b",
		"bracket in name": "a) | b",
	} {
		if got, err := deb.ParseRelations(field); err == nil {
			t.Errorf("%s: ParseRelations(%q) = %v, want an error", name, field, got)
		}
	}
}

func TestAccepts(t *testing.T) {
	for _, tc := range []struct {
		relation, version string
		want              bool
	}{
		{"a", "", true},
		{"a", "1", true},
		{"a (>= 1)", "", false},
		{"a (>= 1)", "1", true},
		{"a (>> 1)", "1", false},
		{"a (>> 1)", "1-1", true},
		{"a (= 1)", "1", true},
		{"a (= 1)", "1.0", false},
		{"a (<< 1)", "1~rc1", true},
		{"a (<= 1)", "1", true},
		{"a (<= 1)", "1:0", false},
	} {
		ors, err := deb.ParseRelations(tc.relation)
		if err != nil {
			t.Fatal(err)
		}
		if got := ors[0][0].Accepts(tc.version); got != tc.want {
			t.Errorf("%q accepts %q = %v, want %v", tc.relation, tc.version, got, tc.want)
		}
	}
}
