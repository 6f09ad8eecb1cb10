package buildkit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/fault"
	"naru/internal/secret"
)

// buildpack writes one of shell scripts.
func buildpack(t *testing.T, name string, programs map[string]string) build.Buildpack {
	t.Helper()
	dir := t.TempDir()
	for program, text := range programs {
		path := filepath.Join(dir, "bin", program)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte("#!/bin/bash\nset -eu\n"+text), 0o755)) //nolint:gosec // it is run
	}
	return build.Buildpack{Name: name, Digest: "sha256:" + strings.Repeat("c", 63) + name[len(name)-1:], Dir: dir}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testClassic(t *testing.T, m *machine) {
	words := buildpack(t, "words-1", map[string]string{
		"supply": `mkdir -p "$3/$4/bin" "$3/$4/profile.d"
printf '#!/bin/sh\necho "words of $1"\n' >"$3/$4/bin/words"
chmod +x "$3/$4/bin/words"
echo "times: $(cat "$2/times" 2>/dev/null || echo none)"
echo one >>"$2/times"
[ -w "$1" ] && [ "$(id -u)" = 1000 ] && [ "$CF_STACK" = cflinuxfs4 ]
echo "export PATH=\$DEPS_DIR/$4/bin:\$PATH" >"$3/$4/profile.d/path.sh"
`,
	})
	last := buildpack(t, "last-2", map[string]string{
		"detect":   "exit 1\n", // whoever names a buildpack has decided
		"supply":   "touch \"$3/$4/there\"\n",
		"finalize": `cat "$3"/*/profile.d/*.sh >"$5/all.sh"; echo made >"$1/made.txt"; printf 'name: lasting\nversion: 2.5\n' >"$3/$4/config.yml"` + "\n",
		"release":  `printf 'default_process_types:\n  web: words $GREETING $(cat made.txt)\n  worker: sleep 1000\n'` + "\n",
	})
	with := func(t *testing.T, change func(*build.Request), files map[string]string, packs ...build.Buildpack) (build.Result, []build.Event, error) {
		t.Helper()
		dir := t.TempDir()
		for name, text := range files {
			write(t, dir, name, text)
		}
		recipe, err := build.Classic(os.DirFS(dir), packs, build.Options{})
		must(t, err)
		sum := sha256.Sum256([]byte(dir))
		return m.push(t, dir, "sha256:"+hex.EncodeToString(sum[:]), func(r *build.Request) {
			r.Recipe = recipe
			change(r)
		})
	}
	try := func(t *testing.T, files map[string]string, packs ...build.Buildpack) (build.Result, []build.Event, error) {
		t.Helper()
		return with(t, func(*build.Request) {}, files, packs...)
	}
	source := map[string]string{"main.txt": "text", ".profile": "export GREETING=hello\n"}

	t.Run("one supplies, the other finishes", func(t *testing.T) {
		res, events, err := try(t, source, words, last)
		must(t, err)
		if said := lines(events); strings.Count(said, "times: ") != 1 || strings.Count(said, "-----> last-2 finishes") != 1 {
			t.Errorf("not everything was said once: %s", said)
		}
		if res.Origin != "buildpack words-1, last-2 2.5 (lasting)" {
			t.Errorf("it is from %q", res.Origin)
		}
		if got := app.Types(res.Processes); strings.Join(got, " ") != "web worker" {
			t.Fatalf("processes %v", got)
		}
		config, err := m.pull(t, res).ConfigFile()
		must(t, err)
		if config.Config.Entrypoint[0] != build.ClassicLaunch || config.Config.Labels["naru.init"] != build.ClassicLaunch || config.Config.WorkingDir != build.ClassicApp {
			t.Errorf("%+v", config.Config)
		}
		all := files(t, m.pull(t, res))
		for _, name := range []string{"/home/vcap/app/made.txt", "/home/vcap/app/main.txt", "/home/vcap/deps/0/bin/words", "/home/vcap/deps/1/there", "/home/vcap/profile.d/all.sh", "/home/vcap/.naru/launch"} {
			if f := all[name]; f == nil || f.Uid != 1000 {
				t.Errorf("%s: %+v", name, f)
			}
		}
		// As it will be started: the root of the image, the command under the launcher.
		root := t.TempDir()
		unpack(t, m.pull(t, res), root)
		argv := append([]string{root, build.ClassicLaunch, "--"}, res.Processes[0].Command...)
		out, err := exec.Command("chroot", append([]string{"--userspec=1000:1000"}, argv...)...).CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), "words of hello\n") {
			t.Errorf("said %q, %v", out, err)
		}
	})
	t.Run("the cache is kept", func(t *testing.T) {
		_, events, err := try(t, map[string]string{"main.txt": "other"}, words, last)
		must(t, err)
		if said := lines(events); !strings.Contains(said, "times: one") {
			t.Errorf("said %s", said)
		}
	})
	t.Run("a fresh build finds nothing in the cache", func(t *testing.T) {
		for _, text := range []string{"fresh", "fresher"} {
			_, events, err := with(t, func(r *build.Request) { r.Fresh = true }, map[string]string{"main.txt": text}, words, last)
			must(t, err)
			if said := lines(events); strings.Count(said, "times: none") != 1 {
				t.Errorf("said %s", said)
			}
		}
		_, events, err := try(t, map[string]string{"main.txt": "after it"}, words, last)
		must(t, err)
		if said := lines(events); !strings.Contains(said, "times: one") {
			t.Errorf("what the fresh build left is lost: %s", said)
		}
	})
	t.Run("a cache that was emptied", func(t *testing.T) {
		for _, tc := range [][2]string{{"other", "times: none"}, {"the next", "times: one"}} { // the first was built before
			_, events, err := with(t, func(r *build.Request) { r.Cache = "emptied" }, map[string]string{"main.txt": tc[0]}, words, last)
			must(t, err)
			if said := lines(events); !strings.Contains(said, tc[1]) {
				t.Errorf("%s: said %s, want %s", tc[0], said, tc[1])
			}
		}
	})
	t.Run("a Procfile wins", func(t *testing.T) {
		res, _, err := try(t, map[string]string{"Procfile": "web: mine\n"}, words, last)
		must(t, err)
		if got := res.Processes[0].Command; got[len(got)-1] != "exec mine" || len(res.Processes) != 2 {
			t.Errorf("processes %+v", res.Processes)
		}
	})
	t.Run("an old one compiles", func(t *testing.T) {
		old := buildpack(t, "old-3", map[string]string{"compile": "[ -d \"$2\" ] && mv \"$1/main.txt\" \"$1/moved.txt\"\n", "release": "echo 'default_process_types: {web: cat moved.txt}'\n"})
		res, _, err := try(t, source, old)
		must(t, err)
		if all := files(t, m.pull(t, res)); all["/home/vcap/app/moved.txt"] == nil || all["/home/vcap/app/main.txt"] != nil {
			t.Error("it was not compiled")
		}
	})
	t.Run("the first that knows the app", func(t *testing.T) {
		stranger := buildpack(t, "strange-1", map[string]string{"detect": "exit 1\n", "compile": "exit 9\n"})
		dumb := buildpack(t, "dumb-2", map[string]string{"compile": "exit 9\n"})
		knows := buildpack(t, "knows-3", map[string]string{
			"detect": "[ -f \"$1/main.txt\" ] && echo 'text 1.0'\n",
			"compile": `[ -d "$(dirname "$0")" ] && printf '%s\n' "$VCAP_SERVICES" >"$1/services.txt"
echo "$MEMORY_LIMIT $CF_STACK ${CF_INSTANCE_IP:-none} $VCAP_APPLICATION"
` + "\n", "release": "echo 'default_process_types: {web: cat services.txt}'\n",
		})
		later := buildpack(t, "later-4", map[string]string{"detect": "exit 0\n", "compile": "exit 9\n"})
		ask := func(bound string, packs ...build.Buildpack) (build.Result, []build.Event, error) {
			dir := t.TempDir()
			write(t, dir, "main.txt", "text")
			recipe, err := build.Detected(os.DirFS(dir), packs, build.Options{})
			must(t, err)
			return m.push(t, dir, "sha256:"+strings.Repeat("d", 64), func(r *build.Request) {
				r.Recipe, r.MemoryMiB, r.Stack, r.Bound = recipe, 2048, "cflinuxfs3", bound
				r.Handed = map[string]secret.Secret{"VCAP_APPLICATION": secret.New(`{"name":"shop"}`), "VCAP_SERVICES": secret.New(`{"` + bound + `":[]}`)}
			})
		}
		res, events, err := ask("one", stranger, dumb, knows, later)
		must(t, err)
		if said := lines(events); !strings.Contains(said, "knows-3 knows the app: text 1.0") || !strings.Contains(said, "2048m cflinuxfs3 ") || strings.Contains(said, "cflinuxfs3 none") || !strings.Contains(said, `{"name":"shop"}`) {
			t.Errorf("said %s", said)
		}
		if res.Origin != "buildpack knows-3: text 1.0" || strings.Count(lines(events), "knows the app") != 1 {
			t.Errorf("it is from %q, said %s", res.Origin, lines(events))
		}
		first := m.pull(t, res)
		if f := files(t, first)["/home/vcap/app/services.txt"]; f == nil {
			t.Error("it did not see its services")
		}
		again, _, err := ask("two", stranger, dumb, knows, later) // others are bound: built again
		must(t, err)
		if again.Ref.Digest == res.Ref.Digest {
			t.Error("nothing was built for other services")
		}
		if _, events, err = ask("one", stranger, dumb); !fault.Is(err, fault.Failed) || !strings.Contains(err.Error()+lines(events), "None of the buildpacks") {
			t.Errorf("nobody knows it: %v", err)
		}
	})
	for name, tc := range map[string]struct {
		packs []build.Buildpack
		want  string
	}{
		"fails":            {[]build.Buildpack{buildpack(t, "bad-4", map[string]string{"compile": "echo no such luck >&2; exit 3\n"})}, "no such luck"},
		"is none":          {[]build.Buildpack{buildpack(t, "none-5", map[string]string{"detect": "exit 0\n"})}, "neither bin/finalize nor bin/compile"},
		"cannot be first":  {[]build.Buildpack{buildpack(t, "old-6", map[string]string{"compile": "true\n"}), last}, "can only be the last"},
		"cannot be last":   {[]build.Buildpack{words}, "only supplies"},
		"names no command": {[]build.Buildpack{buildpack(t, "mute-7", map[string]string{"compile": "true\n"})}, "how to start"},
		"writes no YAML":   {[]build.Buildpack{buildpack(t, "yaml-8", map[string]string{"compile": "true\n", "release": "echo '{'\n"})}, "no YAML"},
	} {
		t.Run("one that "+name, func(t *testing.T) {
			_, events, err := try(t, source, tc.packs...)
			if !fault.Is(err, fault.Failed) || !strings.Contains(err.Error()+lines(events), tc.want) {
				t.Errorf("got %v, said %s; want %q", err, lines(events), tc.want)
			}
		})
	}
}

// unpack lays an image's files into a folder.
func unpack(t *testing.T, img v1.Image, dir string) {
	t.Helper()
	stream := mutate.Extract(img)
	defer stream.Close()
	tar := exec.Command("tar", "-x", "-p", "--numeric-owner", "-C", dir)
	tar.Stdin = stream
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// lines is what commands said.
func lines(events []build.Event) string {
	var b strings.Builder
	for _, e := range events {
		if e.Kind == build.Line {
			b.WriteString(e.Text + "\n")
		}
	}
	return b.String()
}
