package buildkit_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/fault"
	"naru/internal/secret"
)

func (m *machine) pull(t *testing.T, r build.Result) v1.Image {
	t.Helper()
	ref, err := name.NewDigest(r.Ref.At(m.registry), name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// files are the headers and small contents of an image below /app.
func files(t *testing.T, img v1.Image) map[string]*file {
	t.Helper()
	out := map[string]*file{}
	stream := mutate.Extract(img)
	defer stream.Close()
	for tr := tar.NewReader(stream); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		f := &file{Header: h}
		if h.Size < 1<<20 {
			data, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			f.text = string(data)
		}
		out[path.Clean("/"+h.Name)] = f
	}
}

type file struct {
	*tar.Header
	text string
}

func testImage(t *testing.T, m *machine) {
	dir := copied(t, "node")
	committed := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	res, _, err := m.push(t, dir, snapshotA, func(r *build.Request) {
		r.SourceCommit, r.SourceTime = "0123abc", committed
		r.Secrets = map[string]secret.Secret{"NPM_TOKEN": secret.New("hunter2")}
		r.Mirrors.NoProxy = "mark-of-a-mirror"
	})
	if err != nil {
		t.Fatal(err)
	}
	img := m.pull(t, res)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if c.User != "1000:1000" || c.WorkingDir != "/app" || !slices.Equal(c.Entrypoint, []string{"/usr/bin/tini", "--"}) ||
		!slices.Equal(c.Cmd, app.Shell("node server.js")) || !slices.Contains(c.Env, "PORT=8080") || !slices.Contains(c.Env, "NODE_ENV=production") {
		t.Errorf("configuration %+v", c)
	}
	for label, want := range map[string]string{
		"org.opencontainers.image.revision": "0123abc", "naru.foundation": "node:22", "naru.builder": "node", "naru.init": "/usr/bin/tini",
	} {
		if c.Labels[label] != want {
			t.Errorf("label %s is %q, want %q", label, c.Labels[label], want)
		}
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	all := files(t, img)
	for name, f := range all {
		if strings.Contains(f.text, "hunter2") || strings.Contains(f.text, "mark-of-a-mirror") {
			t.Errorf("%s keeps what the build was lent", name)
		}
		if strings.HasPrefix(name, "/app/") && (f.Uid != 1000 || f.Gid != 1000) {
			t.Errorf("%s belongs to %d:%d", name, f.Uid, f.Gid)
		}
	}
	if strings.Contains(string(raw), "hunter2") || strings.Contains(string(raw), "mark-of-a-mirror") {
		t.Error("the configuration keeps what the build was lent")
	}
	if f := all["/app/server.js"]; f == nil || !f.ModTime.Equal(committed) {
		t.Errorf("server.js: %+v", f)
	}
	if f := all["/app/node_modules/express/package.json"]; f == nil || f.ModTime.Year() != 1980 {
		t.Errorf("express: %+v", f)
	}
	if len(config.History) < len(res.Layers) {
		t.Errorf("%d layers, %d lines of history", len(res.Layers), len(config.History))
	}
}

// What must hold between machines: equal sources give equal digests where
// nothing that runs at build time decides otherwise.
func TestColdCachesAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("two cold machines take minutes")
	}
	reg := newRegistry(t)
	digests := map[string][]string{}
	for range 2 {
		m := newMachine(t, reg)
		for _, name := range []string{"static", "go", "node"} {
			res, _, err := m.push(t, copied(t, name), snapshotA, nil)
			if err != nil {
				t.Fatal(err)
			}
			digests[name] = append(digests[name], res.Ref.Digest)
		}
	}
	for name, d := range digests {
		if d[0] != d[1] {
			t.Errorf("%s: %s on one machine, %s on the other", name, d[0], d[1])
		}
	}
}

func testDockerfile(t *testing.T, m *machine) {
	t.Run("example", func(t *testing.T) {
		dir := copied(t, "dockerfile")
		res, events, err := m.push(t, dir, snapshotA, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Processes) != 1 || res.Processes[0].Port != 9000 || len(res.Processes[0].Command) != 0 {
			t.Errorf("processes %+v", res.Processes)
		}
		if f := files(t, m.pull(t, res))["/app/built.txt"]; f == nil || !strings.HasPrefix(f.text, "built by") {
			t.Errorf("built.txt: %+v, ran %v", f, steps(events, build.Done))
		}
		again, _, err := m.push(t, dir, snapshotA, nil)
		if err != nil || again.Ref != res.Ref {
			t.Errorf("unchanged: %s became %s, %v", res.Ref, again.Ref, err)
		}
	})
	t.Run("mirrors and the bundle are lent", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "Dockerfile", "FROM naru/python\nUSER 1000\nWORKDIR /app\nENV GOSUMDB=mine\n"+
			"RUN test \"$no_proxy\" = mark-of-a-mirror && test -s \"$SSL_CERT_FILE\" && test $GOSUMDB = mine && touch built\nUSER 1000\n")
		lent := func(r *build.Request) {
			r.Mirrors.NoProxy, r.Mirrors.GoSumDB = "mark-of-a-mirror", "theirs"
			r.Mirrors.CABundle = filepath.Join(dir, "Dockerfile")
		}
		res, _, err := m.push(t, dir, snapshotB, lent)
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range files(t, m.pull(t, res)) {
			if strings.Contains(f.text, "mark-of-a-mirror") || strings.HasPrefix(name, "/run/naru") {
				t.Errorf("%s is left in the image", name)
			}
		}
		_, events, err := m.push(t, dir, snapshotB, func(r *build.Request) {
			lent(r)
			r.Mirrors.NoProxy = "another"
		})
		if err != nil || slices.ContainsFunc(steps(events, build.Done), func(s string) bool { return strings.Contains(s, "RUN") }) {
			t.Errorf("another mirror ran it again: %v, %v", steps(events, build.Done), err)
		}
	})
	for label, tc := range map[string]struct {
		text  string
		wants []string
	}{
		"a command that fails": {"FROM naru/python\nRUN echo one && exit 4\n", []string{"RUN echo one && exit 4: exit 4", "\n  one"}},
		"an unknown word":      {"FROM naru/python\nRUM echo\n", []string{"Dockerfile:2", "RUM"}},
		"a file that is not":   {"FROM naru/python\nCOPY nowhere /\n", []string{"nowhere"}},
		"an image that is not": {"FROM " + m.registry + "/no/such:1\n", []string{"not found", "naru credentials set"}},
	} {
		t.Run(label, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "Dockerfile", tc.text)
			_, _, err := m.push(t, dir, "sha256:"+fmt.Sprintf("%064x", len(label)), nil)
			mustFail(t, err, fault.Failed, tc.wants...)
		})
	}
}

func testProcfileBinary(t *testing.T, m *machine) {
	dir := copied(t, "procfile-binary")
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "bin/hello"), "hello.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	res, _, err := m.push(t, dir, snapshotA, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := app.Types(res.Processes); !slices.Equal(got, []string{"web", "worker"}) {
		t.Errorf("process types %v", got)
	}
	if f := files(t, m.pull(t, res))["/app/bin/hello"]; f == nil || f.Mode&0o111 == 0 {
		t.Errorf("bin/hello: %+v", f)
	}
}
