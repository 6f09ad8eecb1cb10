package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Every command block of the README and of docs/ is run, in the order in which a
// reader comes to it, and what it prints has the shape of what is shown. A block
// that cannot be run says so, to the reader too, in its first line.
func TestDocuments(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	t.Cleanup(func() { p.stop(t) })
	p.run(t)
	p.admin = home{p: p, dir: filepath.Join(p.dir, "home-admin")}

	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	// The first deploy logs in; the others find an app named my-shop.
	const first = "../docs/first-deploy.md"
	files = slices.DeleteFunc(files, func(f string) bool { return f == first })
	t.Run("first-deploy.md", func(t *testing.T) { p.follow(t, first) })
	if t.Failed() {
		t.Fatal("the rest needs a reader who has come so far")
	}
	p.admin.do(t, "push", "my-shop", "--path", "../examples/static")
	for _, file := range append(files, "../README.md") {
		t.Run(filepath.Base(file), func(t *testing.T) { p.follow(t, file) })
	}
	p.admin.do(t, "delete", "my-shop", "--yes")
}

// notRun begins a block that is only read; the reason follows.
const notRun = "# not run by the tests: "

// follow runs the blocks of one document in one shell.
func (p *platform) follow(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var steps []shown
	dir := t.TempDir()
	for _, b := range blocks(string(text)) {
		switch {
		case strings.HasPrefix(b.lines[0], notRun):
			t.Logf("line %d: %s", b.at, b.lines[0])
		case b.name != "":
			if err := os.WriteFile(filepath.Join(dir, b.name), []byte(strings.Join(b.lines, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			more, err := commands(b)
			if err != nil {
				t.Errorf("%s:%d: %v", file, b.at, err)
			}
			steps = append(steps, more...)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("../examples")); err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 || t.Failed() {
		return
	}
	for i, got := range p.shell(t, dir, steps) {
		next := ""
		if i+1 < len(steps) {
			next = steps[i+1].command
		}
		s := steps[i]
		fails := slices.ContainsFunc(s.output, func(l string) bool { return strings.HasPrefix(l, "error:") })
		if got.code != 0 != fails && next != "echo $?" {
			t.Errorf("%s:%d: %s ended with %d:\n%s", file, s.at, s.command, got.code, got.output)
		}
		if missing, ok := sameShape(s.output, got.output); !ok {
			t.Errorf("%s:%d: %s shows %q; it printed:\n%s", file, s.at, s.command, missing, got.output)
		}
	}
}

// block is an indented or fenced part of a document.
type block struct {
	at    int    // line of its first line
	name  string // of the file that it is, where it is fenced: ```yaml NAME, or example.yaml
	lines []string
}

func blocks(text string) (all []block) {
	var b *block
	fenced, blank := false, true
	for i, line := range strings.Split(text, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case isFence && fenced:
			fenced, b = false, nil
		case isFence:
			language, name, named := strings.Cut(fence, " ")
			if !named {
				name = "example." + language
			}
			all = append(all, block{at: i + 2, name: name})
			fenced, b = true, &all[len(all)-1]
		case fenced:
			b.lines = append(b.lines, line)
		case indented && (blank || b != nil):
			if b == nil {
				all = append(all, block{at: i + 1})
				b = &all[len(all)-1]
			}
			b.lines = append(b.lines, code)
		case strings.TrimSpace(line) == "" && b != nil: // one block goes on after it
			b.lines = append(b.lines, "")
		default:
			b = nil
		}
		blank = strings.TrimSpace(line) == ""
	}
	return slices.DeleteFunc(all, func(b block) bool { return strings.TrimSpace(strings.Join(b.lines, "")) == "" })
}

// shown is a command of a document with the output that is shown for it.
type shown struct {
	at      int
	command string
	output  []string
}

func commands(b block) (all []shown, err error) {
	for i, line := range b.lines {
		command, ok := strings.CutPrefix(line, "$ ")
		if len(all) > 0 && strings.HasPrefix(all[0].command, "make demo") {
			ok = false // it shows the command that it runs itself
		}
		if !ok && len(all) == 0 && strings.HasPrefix(line, "naru ") {
			command, ok = line, true // a block that is nothing but commands
		}
		if ok {
			all = append(all, shown{at: b.at + i, command: command})
		} else if len(all) == 0 {
			return nil, fmt.Errorf("this block is neither commands ($ ...), nor a file (```yaml NAME), nor does it say %q", notRun)
		} else if strings.TrimSpace(line) != "" {
			all[len(all)-1].output = append(all[len(all)-1].output, line)
		}
	}
	return all, nil
}

// printed is what became of a command.
type printed struct {
	output string
	code   int
}

// shell runs commands in one bash, one after the other.
func (p *platform) shell(t *testing.T, dir string, steps []shown) []printed {
	t.Helper()
	const mark = "\x01step "
	var script strings.Builder
	fmt.Fprintf(&script, "naru() { %s/naru \"$@\"; }; sudo() { \"$@\"; }\n", p.bin)
	// What stays in the foreground is left there until it serves.
	script.WriteString(`stays() {
  "$@" >stays.log 2>&1 &
  trap "kill -INT $!; wait $!" EXIT
  until grep -qE 'naru is up|serving' stays.log; do
    kill -0 $! || { cat stays.log; return 1; }
    sleep 0.05
  done
  cat stays.log
}
`)
	for i, s := range steps {
		fmt.Fprintf(&script, "%s\ncode=$?; printf '%s%d %%d\\n' $code; (exit $code)\n", p.here(t, dir, s.command), mark, i)
	}
	shown := strings.NewReplacer(p.data(), "/var/lib/naru", p.dir+"/demo", "/var/lib/naru-demo", p.dir+"/", "/srv/")
	ctx, stop := context.WithTimeout(t.Context(), 15*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NARU_HOME="+p.admin.dir)
	out, err := cmd.CombinedOutput()
	var all []printed
	rest := string(out)
	for i := range steps {
		text, after, ok := strings.Cut(rest, mark+strconv.Itoa(i)+" ")
		if !ok {
			t.Fatalf("%s did not come to its end (%v):\n%s", steps[i].command, err, rest)
		}
		line, next, _ := strings.Cut(after, "\n")
		code, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		all, rest = append(all, printed{shown.Replace(text), code}), next
	}
	return all
}

// here is a command of a document on this platform: its ports, folders and code
// are others.
func (p *platform) here(t *testing.T, dir, command string) string {
	command, _, _ = strings.Cut(command, "   #") // a remark
	command = strings.TrimSpace(command)
	if command == "sudo naru up" {
		return "cat <<'END'\n" + strings.ReplaceAll(p.out.String(), p.data(), "/var/lib/naru") + "\nEND"
	}
	if command == "make demo" {
		return fmt.Sprintf("DEMO_ONCE=1 NARU_DATA_DIR=%s/demo make -C %s demo", p.dir, absolute(t, ".."))
	}
	code := loginCode.FindStringSubmatch(p.out.String())
	command = strings.NewReplacer(
		"127.0.0.1:7070", p.api, "127.0.0.1:7071", p.registry, "127.0.0.1:8080/", p.apps+"/", "localhost:8080", "localhost:"+port(p.apps),
		"naru_code_…", code[1], "/var/lib/naru", p.data(), "/srv/", p.dir+"/", "--table FILE --listen 127.0.0.1:8080", "--table example.json --listen 127.0.0.1:0",
	).Replace(command)
	for _, long := range []string{"naru up", "naru gateway"} {
		if strings.HasPrefix(command, long) && !strings.HasPrefix(command, "naru gateway reload") {
			var api, registry, apps string
			free(t, &api, &registry, &apps)
			command = strings.NewReplacer("127.0.0.1:7170", api, "127.0.0.1:7171", registry, "127.0.0.1:8180", apps,
				"naru up", "naru up --ephemeral").Replace(command)
			return "stays " + strings.Replace(command, "naru", p.bin+"/naru", 1)
		}
	}
	return command
}

func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// changing is what differs from run to run.
var changing = []*regexp.Regexp{
	regexp.MustCompile(`\x1b\[[0-9;]*m`),
	regexp.MustCompile(`\b[0-9a-f]{8,}\b`),                      // digests
	regexp.MustCompile(`\b([0-9]+(\.[0-9]+)?(ms|µs|h|m|s))+\b`), // times
	regexp.MustCompile(`[0-9]+(\.[0-9]+)? ([KMG]i)?B\b`),        // sizes
	regexp.MustCompile(`[0-9]+(\.[0-9]+)*`),                     // counts, versions, ports
}

// shortened is a digest of which only the beginning is shown.
var shortened = regexp.MustCompile(`\b[0-9a-f]{4,}…`)

func shape(line string) string {
	for _, re := range changing {
		line = re.ReplaceAllString(line, "#")
	}
	return strings.Join(strings.Fields(line), " ")
}

// sameShape looks for the lines that are shown, in order, among those printed:
// a document leaves lines out, and … stands for any words. It returns the first
// line that was not found.
func sameShape(want []string, got string) (missing string, ok bool) {
	lines := strings.Split(got, "\n")
	for _, w := range want {
		w = shortened.ReplaceAllString(w, "#") // before shape takes half of it for a count
		if strings.TrimSpace(w) == "…" {
			continue
		}
		parts := strings.Split(shape(w), "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		re := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
		i := slices.IndexFunc(lines, func(l string) bool { return re.MatchString(shape(l)) })
		if i < 0 {
			return w, false
		}
		lines = lines[i+1:]
	}
	return "", true
}

// What is found in a document decides what is run, so it is tried by itself.
func TestBlocksOfDocuments(t *testing.T) {
	got := blocks("text\n\n    $ one   # why\n    out\n\n    $ two\n\ntext\n    not code, a line that goes on\n\n```yaml a.yaml\nkey: 1\n```\n\n    # not run by the tests: no\n")
	if len(got) != 3 || got[0].at != 3 || got[1].name != "a.yaml" || got[1].at != 12 || !strings.HasPrefix(got[2].lines[0], notRun) {
		t.Fatalf("%+v", got)
	}
	steps, err := commands(got[0])
	if err != nil || len(steps) != 2 || steps[0].command != "one   # why" || steps[0].output[0] != "out" || steps[1].at != 6 {
		t.Errorf("%+v, %v", steps, err)
	}
	if _, err := commands(block{lines: []string{"something"}}); err == nil {
		t.Error("a block that says nothing about itself passes")
	}
	for _, tc := range []struct {
		want []string
		got  string
		ok   bool
	}{
		{[]string{"✓ run  web 3 of 3 healthy  516ms", "…", "✓ live"}, "✓ source\n✓ run     web 1 of 1 healthy  1m2.5s\nmore\n✓ live\n", true},
		{[]string{"✓ run  web 3 of 3 healthy  516ms"}, "✓ run  web 3 of 3 failed  516ms", false},
		{[]string{"two", "one"}, "one\ntwo", false},
		{[]string{"image sha256:4e0f…"}, "image sha256:aabbccddeeff0011", true},
	} {
		if missing, ok := sameShape(tc.want, tc.got); ok != tc.ok {
			t.Errorf("%q in %q: %v, missing %q", tc.want, tc.got, ok, missing)
		}
	}
}
