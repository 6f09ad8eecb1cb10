package bake_test

import (
	"strings"
	"testing"

	"naru/internal/build/bake"
	"naru/internal/fault"
)

const head = "foundation: x\nfrom: {distribution: trixie}\npackages: []\n"

func TestParseSpecNamesFileLineAndKey(t *testing.T) {
	for name, tc := range map[string]struct{ text, field, says string }{
		"empty":             {"", "f.yaml", "empty"},
		"no yaml":           {"a: [", "f.yaml", "not YAML"},
		"a list":            {"- a", "f.yaml:1", "not a table"},
		"unknown key":       {head + "package: [a]\n", "f.yaml:4", `unknown key "package"`},
		"unknown inside":    {"foundation: x\nfrom:\n  distribution: trixie\n  suite: a\n", "f.yaml:4", `unknown key "from.suite"`},
		"unknown in a list": {head + "files:\n  - path: /a\n    contents: b\n", "f.yaml:6", `unknown key "files.contents"`},
		"wrong type":        {"foundation: x\nfrom: {distribution: trixie}\npackages: {a: b}\n", "f.yaml", "line 3"},
		"no name":           {"from: {distribution: trixie}\n", "f.yaml", "foundation: "},
		"bad name":          {"foundation: A B\nfrom: {distribution: trixie}\n", "f.yaml:1", "foundation: "},
		"no distribution":   {"foundation: x\nfrom: {}\n", "f.yaml:2", "from.distribution: "},
		"path in suite":     {"foundation: x\nfrom: {distribution: trixie, suites: [../x]}\n", "f.yaml:2", "from.suites: "},
		"path in package":   {"foundation: x\nfrom: {distribution: trixie}\npackages: [../x]\n", "f.yaml:3", "packages: "},
		"option as package": {"foundation: x\nfrom: {distribution: trixie}\npackages: [-o]\n", "f.yaml:3", "packages: "},
		"vax":               {"foundation: x\nfrom: {distribution: trixie, architecture: vax}\n", "f.yaml:2", "from.architecture: "},
		"file mirror":       {"foundation: x\nfrom: {distribution: trixie, mirror: \"file:///x\"}\n", "f.yaml:2", "from.mirror: "},
		"named user":        {head + "user: bob\n", "f.yaml:4", "user: "},
		"relative workdir":  {head + "workdir: app\n", "f.yaml:4", "workdir: "},
		"bad variable":      {head + "env: {A-B: c}\n", "f.yaml:4", "env: "},
		"path leaves":       {head + "files: [{path: /../x, content: a}]\n", "f.yaml:4", "files: "},
		"bad mode":          {head + "files: [{path: /x, content: a, mode: rwx}]\n", "f.yaml:4", "files: "},
		"bad abi":           {head + "abi: [perl]\n", "f.yaml:4", "abi: "},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := bake.ParseSpec("f.yaml", []byte(tc.text))
			f := fault.Of(err)
			if f == nil || f.Kind != fault.Invalid || f.Field != tc.field || !strings.Contains(f.Message, tc.says) {
				t.Errorf("ParseSpec() = %+v, %v; want field %s, saying %q", s, err, tc.field, tc.says)
			}
		})
	}
}

func TestParseSpecFillsIn(t *testing.T) {
	s, err := bake.ParseSpec("f.yaml", []byte(head))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.From.Suites, " "); got != "trixie trixie-updates trixie-security" {
		t.Errorf("suites = %s", got)
	}
	if s.User != "app" || s.Workdir != "/app" || s.From.Components[0] != "main" {
		t.Errorf("spec = %+v", s)
	}
	s, err = bake.ParseSpec("f.yaml", []byte("foundation: x\nfrom: {distribution: sid}\n"))
	if err != nil || len(s.From.Suites) != 1 {
		t.Errorf("sid has %v, %v", s.From.Suites, err)
	}
}

func TestBuiltinFoundations(t *testing.T) {
	all, err := bake.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, s := range all {
		names[s.Foundation] = true
		if s.Description == "" || len(s.ABI) == 0 {
			t.Errorf("%s has no description or ABI", s.Foundation)
		}
	}
	for _, want := range []string{"base", "go", "java", "java-build", "node:20", "node:22", "node:24", "node-build:22", "python", "python-build"} {
		if !names[want] {
			t.Errorf("no foundation %s", want)
		}
	}
	if s, err := bake.BuiltinSpec("node"); err != nil || s.Foundation != "node:22" {
		t.Errorf("node is %s, %v", s.Foundation, err)
	}
	if _, err := bake.BuiltinSpec("node:7"); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.Of(err).Try, "node:22") {
		t.Errorf("node:7: %v, want what there is", err)
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add([]byte(head))
	f.Add([]byte("foundation: x\nfrom: &a {distribution: *a}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = bake.ParseSpec("f.yaml", raw) // must not panic
	})
}
