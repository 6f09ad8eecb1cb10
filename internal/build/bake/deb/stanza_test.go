package deb_test

import (
	"testing"

	"naru/internal/build/bake/deb"
)

const two = "Package: a\nSource: src (2-1)\nVersion: 2-1+b1\nTag: x,\n y\nArchitecture: all\n\n\nPackage: b\nVersion: 1\n"

func TestStanzas(t *testing.T) {
	var names []string
	for at, s := range deb.Stanzas(two) {
		if two[at:at+8] != "Package:" {
			t.Errorf("stanza at %d does not begin there", at)
		}
		names = append(names, s.Get("Package"))
	}
	if len(names) != 2 || names[0] != "a" || names[1] != "b" {
		t.Fatalf("names = %v, want a and b", names)
	}
}

func TestStanzaFields(t *testing.T) {
	for _, s := range deb.Stanzas(two) {
		if got := s.Get("Tag"); got != "x,\n y" {
			t.Errorf("Tag = %q, want its continuation too", got)
		}
		if got := s.Get("y"); got != "" {
			t.Errorf("a continuation line was read as a field: %q", got)
		}
		if name, version := s.Source(); name != "src" || version != "2-1" {
			t.Errorf("Source() = %q %q, want src 2-1", name, version)
		}
		break
	}
}

func TestParseControlRefusesWhatIsNoPackage(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"no version":   "Package: a\nArchitecture: all\n",
		"two packages": "Package: a\nVersion: 1\nArchitecture: all\n\nPackage: b\n",
	} {
		if _, err := deb.ParseControl(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
