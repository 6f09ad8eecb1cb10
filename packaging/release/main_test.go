package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"naru/internal/config"
)

// programs makes a folder as the build leaves it: this program and a small one
// under naru's names, because the bill of materials is read from real programs.
// They are small, too: the race detector makes packing them slow.
func programs(t *testing.T, machine string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), machine)
	must(t, os.Mkdir(dir, 0o755))
	for name, source := range map[string]string{"naru": ".", "naru-log": "../../cmd/naru-log"} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, name), source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("compile %s: %v\n%s", name, err, text)
		}
	}
	return dir
}

func release(t *testing.T, folders ...string) (out string) {
	t.Helper()
	out = t.TempDir()
	var errs bytes.Buffer
	env := func(string) string { return "1700000000" }
	args := append([]string{"-version", "0.1.0", "-root", "../..", "-out", out}, folders...)
	if code := run(args, env, io.Discard, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	return out
}

// One release is enough for all: to pack programs takes its time.
func TestRelease(t *testing.T) {
	dir := programs(t, "linux-amd64")
	out := release(t, dir)
	t.Run("the same programs give the same bytes", func(t *testing.T) { sameBytes(t, out, release(t, dir)) })
	t.Run("tools read what is made", func(t *testing.T) { toolsRead(t, out) })
	t.Run("the bill lists the modules linked in", func(t *testing.T) { billLists(t, out) })
}

func sameBytes(t *testing.T, first, second string) {
	for _, name := range []string{"naru-0.1.0-linux-amd64.tar.gz", "naru_0.1.0_amd64.deb", "naru-0.1.0.cdx.json", "SHA256SUMS"} {
		a, err := os.ReadFile(filepath.Join(first, name))
		must(t, err)
		b, err := os.ReadFile(filepath.Join(second, name))
		must(t, err)
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs", name)
		}
	}
}

func toolsRead(t *testing.T, out string) {
	deb := filepath.Join(out, "naru_0.1.0_amd64.deb")
	for _, tc := range []struct {
		command []string
		want    []string
	}{
		{[]string{"sha256sum", "-c", "SHA256SUMS"}, []string{"naru_0.1.0_amd64.deb: OK", "naru-0.1.0.cdx.json: OK"}},
		{[]string{"dpkg-deb", "--info", deb}, []string{"Package: naru", "Version: 0.1.0", "Architecture: amd64", "postinst", "conffiles"}},
		{[]string{"dpkg-deb", "--contents", deb}, []string{
			"-rwxr-xr-x root/root", "./usr/bin/naru\n", "./usr/lib/naru/naru-log\n", "./usr/lib/systemd/system/naru-server.service",
			"./usr/lib/sysusers.d/naru.conf", "./etc/naru/config.yaml", "2023-11-14",
		}},
		{[]string{"tar", "tzvf", "naru-0.1.0-linux-amd64.tar.gz"}, []string{"naru-0.1.0-linux-amd64/bin/naru", "/lib/naru/naru-log", "/LICENSE"}},
	} {
		t.Run(tc.command[0], func(t *testing.T) {
			if _, err := exec.LookPath(tc.command[0]); err != nil {
				t.Skipf("this machine has no %s", tc.command[0])
			}
			cmd := exec.Command(tc.command[0], tc.command[1:]...)
			cmd.Dir = out
			cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
			text, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			for _, want := range tc.want {
				if !strings.Contains(string(text), want) {
					t.Errorf("output lacks %q:\n%s", want, text)
				}
			}
		})
	}
}

func billLists(t *testing.T, out string) {
	f, err := os.Open(filepath.Join(out, "naru-0.1.0.cdx.json"))
	must(t, err)
	defer f.Close()
	var bom cdx.BOM
	must(t, cdx.NewBOMDecoder(f, cdx.BOMFileFormatJSON).Decode(&bom))
	found := map[string]bool{}
	for _, c := range *bom.Components {
		found[c.Name] = c.Version != "" && strings.HasPrefix(c.PackageURL, "pkg:golang/"+c.Name+"@")
	}
	for _, name := range []string{"std", "github.com/CycloneDX/cyclonedx-go"} {
		if !found[name] {
			t.Errorf("%s is missing or has no version and purl", name)
		}
	}
}

func TestWrongUseIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no version":      {[]string{"bin/linux-amd64"}, "usage:"},
		"odd version":     {[]string{"-version", "v1", "bin/linux-amd64"}, "usage:"},
		"odd folder":      {[]string{"-version", "1.0.0", "bin"}, "bin: must be named OS-ARCH"},
		"folder gone":     {[]string{"-version", "1.0.0", "no/linux-amd64"}, "no such file"},
		"no naru in it":   {[]string{"-version", "1.0.0", emptyFolder(t)}, "there is no program named naru"},
		"nothing to pack": {[]string{"-version", "1.0.0"}, "usage:"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs bytes.Buffer
			args := append([]string{"-out", t.TempDir()}, tc.args...)
			if code := run(args, func(string) string { return "" }, io.Discard, &errs); code == 0 || !strings.Contains(errs.String(), tc.want) {
				t.Errorf("exit %d, said %q; want %q", code, errs.String(), tc.want)
			}
		})
	}
}

func emptyFolder(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "linux-amd64")
	must(t, os.Mkdir(dir, 0o755))
	return dir
}

// TestTheUnitMarksItsProcesses: the mark holds the hash of /var/lib/naru, by
// which naru down finds shims that systemd left.
func TestTheUnitMarksItsProcesses(t *testing.T) {
	text, err := os.ReadFile("../systemd/naru-containerd.service")
	must(t, err)
	mark := "NARU_CHILD=" + config.Config{DataDir: "/var/lib/naru"}.Hash() + "/containerd"
	if !strings.Contains(string(text), mark) {
		t.Errorf("the unit lacks %s", mark)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
