package cli

import (
	"strings"
	"testing"
	"time"

	"naru/internal/client"
)

func TestTook(t *testing.T) {
	for want, d := range map[string]time.Duration{"": 0, "1ms": 20 * time.Microsecond, "340ms": 340 * time.Millisecond, "2.5s": 2460 * time.Millisecond, "1m4s": 64 * time.Second} {
		if got := took(client.Duration(d)); got != want {
			t.Errorf("took(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestFitCutsWhatIsSeen(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want string
	}{
		"short enough":          {"build", "build"},
		"too long":              {"0123456789", "012345…"},
		"colours take no room":  {"\x1b[32mok\x1b[0m", "\x1b[32mok\x1b[0m"},
		"a colour that is left": {"\x1b[32m0123456789", "\x1b[32m012345…\x1b[0m"},
		"letters, not bytes":    {"äöüß", "äöüß"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fit(tc.text, 8); got != tc.want {
				t.Errorf("fit(%q) = %q, want %q", tc.text, got, tc.want)
			}
		})
	}
}

func TestTameKeepsOnlyColours(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"plain":                {"hello", "hello"},
		"a colour":             {"\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"},
		"a screen wiped":       {"a\x1b[2Jb", "a[2Jb"},
		"a title set":          {"\x1b]0;owned\x07b", "]0;ownedb"},
		"the line overwritten": {"good\rbad", "goodbad"},
		"C1 controls":          {"a\u009b2Jb", "a2Jb"},
		"tabs and lines":       {"a\tb\nc", "a b c"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tame(tc.text); got != tc.want {
				t.Errorf("tame(%q) = %q, want %q", tc.text, got, tc.want)
			}
		})
	}
}

func FuzzTame(f *testing.F) {
	f.Add("\x1b[31mred\x1b[2J\x1b]0;x\x07")
	f.Fuzz(func(t *testing.T, text string) {
		got := tame(text)
		for rest := got; len(rest) > 0; {
			if skip := painted(rest); skip > 0 {
				rest = rest[skip:]
				continue
			}
			if rest[0] < 0x20 || rest[0] == 0x7f {
				t.Fatalf("tame(%q) = %q keeps %q", text, got, rest[0])
			}
			rest = rest[1:]
		}
		if w := 20; columns(fit(got, w)) >= w {
			t.Fatalf("fit(%q) takes %d columns", got, columns(fit(got, w)))
		}
	})
}

func TestNearest(t *testing.T) {
	commands := []string{"push", "apps", "app", "restart", "releases", "rollback", "set-env", "routes"}
	for word, want := range map[string]string{
		"pusj": "push", "psuh": "push", "realeses": "releases", "restrat": "restart", "setenv": "set-env", "roll": "rollback", "frob": "", "x": "",
	} {
		if got := nearest(word, commands); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestHostAndPath(t *testing.T) {
	for text, want := range map[string][2]string{
		"www":                         {"www", "/"},
		"shop.example.com":            {"shop.example.com", "/"},
		"shop.example.com/a/b":        {"shop.example.com", "/a/b"},
		"https://shop.example.com/x":  {"shop.example.com", "/x"},
		"*.example.com":               {"*.example.com", "/"},
		"http://shop.example.com:8/x": {},
		"/x":                          {},
		"":                            {},
		"shop.example.com:8080":       {},
	} {
		host, path, err := hostAndPath(text)
		if want[0] == "" {
			if err == nil {
				t.Errorf("hostAndPath(%q) = %q, %q, want an error", text, host, path)
			}
			continue
		}
		if err != nil || host != want[0] || path != want[1] {
			t.Errorf("hostAndPath(%q) = %q, %q, %v, want %v", text, host, path, err, want)
		}
	}
}

func TestEveryCommandHelps(t *testing.T) {
	page := Reference()
	for _, name := range strings.Fields("push apps app logs stats scale start stop restart delete env set-env unset-env routes map-route unmap-route route run exec tasks releases rollback operations events builders foundations bake target orgs spaces users credentials login logout whoami passwd tokens info gc completion version") {
		if !strings.Contains(page, "### naru "+name+"\n") {
			t.Errorf("naru %s is not in the reference", name)
		}
	}
}

func TestTypedLine(t *testing.T) {
	for typed, want := range map[string]string{
		"hunter2\r": "hunter2", "hunter2\n": "hunter2", "hunteX\x7fr2\r": "hunter2", "ä\x08a\r": "a", "\x7f\r": "", "wrong\x15right\r": "right",
	} {
		if got, err := typedLine(strings.NewReader(typed)); err != nil || got != want {
			t.Errorf("typedLine(%q) = %q, %v, want %q", typed, got, err, want)
		}
	}
	if _, err := typedLine(strings.NewReader("hun\x03")); err != exitCode(130) {
		t.Errorf("after Ctrl-C: %v, want exit code 130", err)
	}
	if _, err := typedLine(strings.NewReader("hun")); err == nil {
		t.Error("a terminal that is gone gave a line")
	}
}

func TestAFieldIsNamedOnlyAsAWord(t *testing.T) {
	for _, tc := range []struct {
		text, field string
		want        bool
	}{
		{"the symlink to x leaves", "link", false},
		{"the hard link to x leaves", "link", true},
		{"relinked, and link", "link", true},
		{"env.COLOR: no value", "env.COLOR", true},
		{"a snapshot", "app", false},
		{"memory_mib is too much", "memory", false},
		{"größer", "größ", false},
	} {
		if got := mentions(tc.text, tc.field); got != tc.want {
			t.Errorf("mentions(%q, %q) = %v, want %v", tc.text, tc.field, got, tc.want)
		}
	}
}
