package apt

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"naru/internal/build/bake/deb"
)

// Mirrors are the two archives a Debian system reads.
type Mirrors struct {
	Main     string // holds DISTRIBUTION and DISTRIBUTION-updates
	Security string // holds DISTRIBUTION-security
}

// Default is what a host without apt sources uses.
func Default() Mirrors {
	return Mirrors{Main: "http://deb.debian.org/debian", Security: "http://deb.debian.org/debian-security"}
}

// debianSuites are the names by which a source is known to be Debian's and not,
// say, Ubuntu's or a vendor's.
var debianSuites = []string{
	"bullseye", "bookworm", "trixie", "forky", "duke", "sid",
	"oldoldstable", "oldstable", "stable", "testing", "unstable",
}

// HostMirrors reads the sources of a host from its /etc/apt (root is that
// folder) in both formats. Whatever distribution the host itself runs, its
// mirror also carries the others. What is not found is filled from Default.
func HostMirrors(root fs.FS) (Mirrors, error) {
	m := Mirrors{}
	files, err := sourceFiles(root)
	if err != nil {
		return Mirrors{}, err
	}
	for _, name := range files {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return Mirrors{}, err
		}
		entries := oneLine(string(text))
		if path.Ext(name) == ".sources" {
			entries = deb822(string(text))
		}
		for _, e := range entries {
			m.take(e)
		}
	}
	d := Default()
	if m.Main == "" {
		m.Main = d.Main
	}
	if m.Security == "" {
		m.Security = d.Security
	}
	return m, nil
}

func sourceFiles(root fs.FS) ([]string, error) {
	var files []string
	for _, pattern := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
		found, err := fs.Glob(root, pattern)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

type entry struct{ uri, suite string }

func (m *Mirrors) take(e entry) {
	if !strings.HasPrefix(e.uri, "http://") && !strings.HasPrefix(e.uri, "https://") {
		return // cdrom:, mirror+file: and the like mean nothing to us
	}
	uri := strings.TrimRight(e.uri, "/")
	codename, pocket, _ := strings.Cut(strings.Replace(e.suite, "/updates", "-security", 1), "-")
	switch {
	case !slices.Contains(debianSuites, codename):
	case pocket == "security" && m.Security == "":
		m.Security = uri
	case pocket == "" && m.Main == "":
		m.Main = uri
	}
}

// oneLine reads "deb [options] URI SUITE COMPONENT...".
func oneLine(text string) []entry {
	var all []entry
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			continue // deb-src and the rest
		}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			_, after, closed := strings.Cut(rest, "]")
			if !closed {
				continue
			}
			rest = after
		}
		if f := strings.Fields(rest); len(f) >= 2 {
			all = append(all, entry{f[0], f[1]})
		}
	}
	return all
}

// deb822 reads the paragraphs of a .sources file.
func deb822(text string) []entry {
	var clean strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			clean.WriteString(line)
		}
	}
	var all []entry
	for _, s := range deb.Stanzas(clean.String()) {
		if s.Get("Enabled") == "no" || !slices.Contains(strings.Fields(s.Get("Types")), "deb") {
			continue
		}
		for _, uri := range strings.Fields(s.Get("URIs")) {
			for _, suite := range strings.Fields(s.Get("Suites")) {
				all = append(all, entry{uri, suite})
			}
		}
	}
	return all
}
