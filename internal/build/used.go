package build

import (
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// Used is a buildpack that worked on an app, as it is known afterwards.
type Used struct {
	Name     string // as it was asked for
	Version  string // that it says of itself; "": it says none
	Reports  string // the name that it gives itself; "": none
	Detected string // what its bin/detect said; "": it was named, and not asked
}

// Describe reads what a buildpack wrote of itself into config.yml; what cannot be
// read says nothing.
func (u Used) Describe(config []byte) Used {
	var said struct {
		Name    string `yaml:"name"`
		Version string `yaml:"version"`
	}
	if yaml.Unmarshal(config, &said) == nil {
		u.Reports, u.Version = word(said.Name), word(said.Version)
	}
	return u
}

// word is what a buildpack says of itself, if it can stand in one line with others.
func word(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(",():", r) }) {
		return ""
	}
	return s
}

const mostDetected = 250 // bytes that are kept of what bin/detect said

// Saying notes what bin/detect said, as one line.
func (u Used) Saying(text string) Used {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	u.Detected = strings.ToValidUTF8(text[:min(len(text), mostDetected)], "")
	return u
}

const ofBuildpacks = "buildpack "

// Origin is the buildpacks that worked as an image tells people where it comes
// from: "buildpack words 1.2 (Words), nodejs_buildpack 1.9.4 (nodejs)". What
// bin/detect said is behind a colon.
func Origin(all []Used) string {
	var items []string
	said := ""
	for _, u := range all {
		item := u.Name
		if u.Version != "" {
			item += " " + u.Version
		}
		if u.Reports != "" {
			item += " (" + u.Reports + ")"
		}
		items = append(items, item)
		if u.Detected != "" {
			said = ": " + u.Detected
		}
	}
	return ofBuildpacks + strings.Join(items, ", ") + said
}

// UsedOf reads Origin's text; nil where an image was not made by buildpacks.
func UsedOf(origin string) []Used {
	rest, ok := strings.CutPrefix(origin, ofBuildpacks)
	if !ok {
		return nil
	}
	rest, said, _ := strings.Cut(rest, ": ")
	var out []Used
	for item := range strings.SplitSeq(rest, ", ") {
		words := strings.Fields(item)
		if len(words) == 0 {
			continue
		}
		u := Used{Name: words[0]}
		for _, w := range words[1:] {
			if inner, ok := strings.CutPrefix(w, "("); ok {
				u.Reports = strings.TrimSuffix(inner, ")")
			} else {
				u.Version = w
			}
		}
		out = append(out, u)
	}
	if len(out) > 0 {
		out[len(out)-1].Detected = said
	}
	return out
}
