package bake

import (
	"path"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/build/bake/settle"
	"naru/internal/fault"
)

// Spec is a foundation as people declare it.
type Spec struct {
	Foundation  string            `yaml:"foundation"` // "node:22"
	Description string            `yaml:"description,omitempty"`
	From        From              `yaml:"from"`
	Packages    []string          `yaml:"packages"`      // NAME, NAME=VERSION or NAME/SUITE, over those of Base
	Npm         []string          `yaml:"npm,omitempty"` // NAME@RANGE; "node@22" is Node itself
	Files       []FileSpec        `yaml:"files,omitempty"`
	Env         map[string]string `yaml:"env,omitempty"`
	User        string            `yaml:"user,omitempty"` // "app", "root", UID or UID:GID; default app
	Workdir     string            `yaml:"workdir,omitempty"`
	Entrypoint  []string          `yaml:"entrypoint,omitempty"`
	Cmd         []string          `yaml:"cmd,omitempty"`
	// ABI lists what must be equal between the image a thing was compiled on and
	// the one it runs on: node, python, java, glibc. Default: those of them that
	// are in the image by request, and glibc.
	ABI []string `yaml:"abi,omitempty"`
}

// From says where packages come from.
type From struct {
	Distribution    string   `yaml:"distribution"` // "trixie"
	Architecture    string   `yaml:"architecture,omitempty"`
	Mirror          string   `yaml:"mirror,omitempty"`   // default: the host's own apt sources
	Security        string   `yaml:"security,omitempty"` // default: the host's, or debian-security beside Mirror
	Suites          []string `yaml:"suites,omitempty"`   // default: the distribution, its -updates and -security
	Components      []string `yaml:"components,omitempty"`
	CheckValidUntil *bool    `yaml:"check_valid_until,omitempty"`
}

// FileSpec is a small file put into the image.
type FileSpec struct {
	Path    string `yaml:"path"`
	Content string `yaml:"content"`
	Mode    string `yaml:"mode,omitempty"` // octal, default "0644"
}

var (
	foundationName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}(:[a-z0-9][a-z0-9.-]{0,30})?$`)
	packageName    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*(=[A-Za-z0-9.+:~-]+|/[a-z0-9-]+)?$`)
	suiteName      = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
	userName       = regexp.MustCompile(`^[0-9]{1,9}(:[0-9]{1,9})?$`)
	envName        = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// ParseSpec reads a declaration. name is the file's, for messages: a complaint
// names file, line and key.
func ParseSpec(name string, data []byte) (Spec, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return Spec{}, fault.New(fault.Invalid, name, "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return Spec{}, fault.New(fault.Invalid, name, "the file is empty").WithTry("begin with foundation:, from: and packages:")
	}
	root := doc.Content[0]
	if err := checkKeys(name, "", root, specKeys); err != nil {
		return Spec{}, err
	}
	var s Spec
	if err := root.Decode(&s); err != nil {
		return Spec{}, fault.New(fault.Invalid, name, "%s", strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", ""), "yaml: "))
	}
	s.fill()
	if key, err := s.check(); err != nil {
		f := fault.Of(err)
		where := name
		if line := lineOf(root, key); line > 0 {
			where += ":" + strconv.Itoa(line)
		}
		return Spec{}, &fault.Error{Kind: fault.Invalid, Field: where, Message: key + ": " + f.Message, Try: f.Try}
	}
	return s, nil
}

// fill puts the defaults in, so that everything after ParseSpec sees one form.
func (s *Spec) fill() {
	if s.From.Architecture == "" {
		s.From.Architecture = runtime.GOARCH // Debian's names of amd64 and arm64 are Go's
	}
	if len(s.From.Suites) == 0 {
		s.From.Suites = defaultSuites(s.From.Distribution)
	}
	if len(s.From.Components) == 0 {
		s.From.Components = []string{"main"}
	}
	if s.User == "" {
		s.User = settle.AppUser
	}
	if s.Workdir == "" {
		s.Workdir = settle.AppDir
	}
}

func defaultSuites(distribution string) []string {
	switch distribution {
	case "":
		return nil
	case "sid", "unstable", "experimental":
		return []string{distribution} // has neither updates nor security of its own
	}
	return []string{distribution, distribution + "-updates", distribution + "-security"}
}

// check returns the key that is wrong.
func (s Spec) check() (key string, err error) {
	bad := func(format string, args ...any) error { return fault.New(fault.Invalid, "", format, args...) }
	switch {
	case !foundationName.MatchString(s.Foundation):
		return "foundation", bad("%q is not a name: lower-case letters, digits and hyphens, perhaps :VERSION", s.Foundation)
	case !suiteName.MatchString(s.From.Distribution):
		return "from.distribution", fault.New(fault.Invalid, "", "%q is not a distribution", s.From.Distribution).WithTry("for example trixie")
	case s.From.Architecture != "amd64" && s.From.Architecture != "arm64":
		return "from.architecture", bad("%q is not supported; there are amd64 and arm64", s.From.Architecture)
	case s.uid() == "":
		return "user", bad("%q is neither app, root, UID nor UID:GID", s.User)
	case !path.IsAbs(s.Workdir):
		return "workdir", bad("%q is not an absolute path", s.Workdir)
	}
	for _, l := range []struct {
		key  string
		list []string
		form *regexp.Regexp
	}{{"from.suites", s.From.Suites, suiteName}, {"from.components", s.From.Components, suiteName}, {"packages", s.Packages, packageName}} {
		for _, v := range l.list {
			if !l.form.MatchString(v) {
				return l.key, bad("%q is not a valid name", v)
			}
		}
	}
	for key, u := range map[string]string{"from.mirror": s.From.Mirror, "from.security": s.From.Security} {
		if u != "" && !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") {
			return key, bad("%q is not an http or https address", u)
		}
	}
	for k := range s.Env {
		if !envName.MatchString(k) {
			return "env", bad("%q is not a name of a variable", k)
		}
	}
	for _, a := range s.ABI {
		if abiOf[a] == nil {
			return "abi", bad("%q is unknown; there are glibc, java, node and python", a)
		}
	}
	for _, f := range s.Files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return "files", bad("%q is not a clean absolute path", f.Path)
		}
		if _, err := f.mode(); err != nil {
			return "files", bad("%s: %q is not an octal mode up to 0777", f.Path, f.Mode)
		}
	}
	return "", nil
}

func (f FileSpec) mode() (int64, error) {
	if f.Mode == "" {
		return 0o644, nil
	}
	return strconv.ParseInt(f.Mode, 8, 10)
}

// uid is the user as numbers, "" when it is not one.
func (s Spec) uid() string {
	switch {
	case s.User == settle.AppUser:
		return strconv.Itoa(settle.AppID) + ":" + strconv.Itoa(settle.AppID)
	case s.User == "root":
		return "0:0"
	case userName.MatchString(s.User):
		return s.User
	}
	return ""
}
