package build_test

import (
	"reflect"
	"strings"
	"testing"

	"naru/internal/build"
)

func TestUsedReadsWhatItWrote(t *testing.T) {
	for name, tc := range map[string]struct {
		used []build.Used
		text string
	}{
		"one that says nothing": {[]build.Used{{Name: "words"}}, "buildpack words"},
		"one that was asked":    {[]build.Used{{Name: "nodejs_buildpack", Version: "1.9.4", Reports: "nodejs", Detected: "nodejs 1.9.4: (yes), it is"}}, "buildpack nodejs_buildpack 1.9.4 (nodejs): nodejs 1.9.4: (yes), it is"},
		"several":               {[]build.Used{{Name: "words", Version: "1.2"}, {Name: "https://git.example.com:8443/a/b.git#0123456789", Reports: "b"}, {Name: "last"}}, "buildpack words 1.2, https://git.example.com:8443/a/b.git#0123456789 (b), last"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := build.Origin(tc.used); got != tc.text {
				t.Errorf("written %q", got)
			}
			if got := build.UsedOf(tc.text); !reflect.DeepEqual(got, tc.used) {
				t.Errorf("read %+v", got)
			}
		})
	}
	for _, other := range []string{"node 22, npm, package-lock.json", "", "registry.example.com/shop:1", "buildpack "} {
		if got := build.UsedOf(other); got != nil {
			t.Errorf("%q: %+v", other, got)
		}
	}
}

// What buildpacks say of themselves is hostile.
func TestUsedTakesOneLine(t *testing.T) {
	for config, want := range map[string]build.Used{
		"name: nodejs\nversion: 1.9.4\nconfig: {a: b}\n": {Reports: "nodejs", Version: "1.9.4"},
		"version: 1.9\n":                       {Version: "1.9"},
		"":                                     {},
		"{":                                    {},
		"- a\n":                                {},
		"name: [a]\n":                          {},
		"name: 'two words'\nversion: '1, 2'\n": {},
		"name: \"a\\nb\"\nversion: \"1\\e[31m\"\n": {},
		"name: " + strings.Repeat("a", 65) + "\n":  {},
		"name: (odd)\nversion: 'a: b'\n":           {},
	} {
		if got := (build.Used{}).Describe([]byte(config)); got != want {
			t.Errorf("%q: %+v", config, got)
		}
	}
	for said, want := range map[string]string{
		"nodejs 1.9.4\n":                  "nodejs 1.9.4",
		" two\r\nlines\t\x1b[31mred\x00 ": "two lines [31mred",
		"\xff\xfebad":                     "bad",
		strings.Repeat("é", 200):          strings.Repeat("é", 125),
		strings.Repeat("a", 249) + "é":    strings.Repeat("a", 249),
		"\n \n":                           "",
	} {
		if got := (build.Used{}).Saying(said).Detected; got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
}
