package deb_test

import (
	"os/exec"
	"testing"

	"naru/internal/build/bake/deb"
)

// versions is written in dpkg's own order of what matters: epochs, tildes,
// letters before other characters, numbers as numbers, revisions last.
var versions = []struct {
	a, b string
	want int
}{
	{"0", "0", 0},
	{"0", "00", 0},
	{"1.2.3", "1.2.3", 0},
	{"1.2.3", "1.2.3-0", 0},
	{"0:1.2.3", "1.2.3", 0},
	{"00:1", "0:1", 0},
	{"1:1", "2", 1},
	{"1:0", "0:9", 1},
	{"10:1", "9:2", 1},
	{"1.0~rc1", "1.0", -1},
	{"1.0~~", "1.0~", -1},
	{"1.0~~a", "1.0~", -1},
	{"1.0~", "1.0", -1},
	{"1.0~rc1-1", "1.0-1~bpo1", -1},
	{"1.0a", "1.0", 1},
	{"1.0a", "1.0+", -1},
	{"1.0+b", "1.0a", 1},
	{"1.0a", "1.0.1", -1},
	{"1.0-1", "1.0-1.1", -1},
	{"1.0-1", "1.0-10", -1},
	{"1.0-9", "1.0-10", -1},
	{"1.9", "1.10", -1},
	{"1.09", "1.9", 0},
	{"1.0-", "1.0", 0},
	{"2.41-12", "2.41-12+deb13u4", -1},
	{"20.19.2+dfsg-1", "20.19.2+dfsg-1+deb13u3", -1},
	{"1:1.3.dfsg+really1.3.1-1+b1", "1:1.3.dfsg+really1.3.1-1", 1},
	{"7.6.0-1", "7.6p2-4", 1},
	{"1.0.3-3", "1.0-1", 1},
	{"2.0.7pre1-4", "2.0.7r-1", -1},
	{"0.10.0-1", "0.9-1", 1},
	{"1-1-1", "1-1-2", -1},
	{"1:2:3-1", "1:2:3-2", -1},
	{"99999999999999999999", "100000000000000000000", -1},
	{"a.b-1", "a.b-1", 0},
	{"", "", 0},
	{"", "0", 0},
	{"~", "", -1},
}

func TestCompareOrdersAsDpkgDoes(t *testing.T) {
	for _, tc := range versions {
		if got := deb.Compare(tc.a, tc.b); got != tc.want {
			t.Errorf("Compare(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
		if got := deb.Compare(tc.b, tc.a); got != -tc.want {
			t.Errorf("Compare(%q, %q) = %d, want %d", tc.b, tc.a, got, -tc.want)
		}
	}
}

// TestTheTableIsDpkgs keeps the table above honest where dpkg is at hand.
func TestTheTableIsDpkgs(t *testing.T) {
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Skip("dpkg is not installed, so the table cannot be held against it")
	}
	op := map[int]string{-1: "lt", 0: "eq", 1: "gt"}
	for _, tc := range versions {
		if deb.CheckVersion(tc.a) != nil || deb.CheckVersion(tc.b) != nil {
			continue // dpkg warns and guesses
		}
		if err := exec.Command(dpkg, "--compare-versions", tc.a, op[tc.want], tc.b).Run(); err != nil {
			t.Errorf("dpkg does not say %q %s %q", tc.a, op[tc.want], tc.b)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for v, ok := range map[string]bool{
		"1.0": true, "1:1.0-1": true, "0~1": true, "1.0-1-1": true,
		"": false, "a1": false, ":1": false, "x:1": false, "1.0-": false, "1_0": false, "1.0 1": false,
	} {
		if err := deb.CheckVersion(v); (err == nil) != ok {
			t.Errorf("CheckVersion(%q) = %v, want ok %v", v, err, ok)
		}
	}
}

func FuzzCompareIsAntisymmetric(f *testing.F) {
	for _, tc := range versions {
		f.Add(tc.a, tc.b)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if deb.Compare(a, b) != -deb.Compare(b, a) {
			t.Errorf("Compare(%q, %q) = %d and the other way round %d", a, b, deb.Compare(a, b), deb.Compare(b, a))
		}
	})
}
