package resolve_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"naru/internal/build/bake/resolve"
)

var suites = []string{"trixie", "trixie-updates", "trixie-security"}

// TestRecordedChoices repeats every wish of testdata/sets.txt on indexes
// recorded on 2026-11-21 (the stanzas that the wishes touch) and compares with
// what apt 2.6.1 chose on that day from the whole archive.
func TestRecordedChoices(t *testing.T) {
	u := resolve.NewUniverse("amd64")
	for _, s := range suites {
		if err := u.Add(s, resolve.PinDefault, unpack(t, "testdata/"+s+".Packages.zst")); err != nil {
			t.Fatal(err)
		}
	}
	sets := 0
	for line := range strings.Lines(unpack(t, "testdata/choices.txt.zst")) {
		wish, chosen, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("unreadable line %q", line)
		}
		sets++
		compare(t, u, wish, strings.Fields(chosen))
	}
	if sets < 30 || sets != len(wishes(t)) {
		t.Errorf("%d sets are recorded, %d listed; want the same, and at least 30", sets, len(wishes(t)))
	}
}

var allSets = flag.Bool("apt.all", false, "compare all sets with apt on today's archive, not only every sixth: some minutes")

// TestChoicesOfToday asks apt itself, with today's archive.
func TestChoicesOfToday(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this test downloads Debian's indexes and runs apt several times")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("apt-get is not installed, so there is nothing to compare with")
	}
	root := t.TempDir()
	if out, err := update(t, root); err != nil {
		t.Skipf("no Debian mirror can be reached: apt-get update: %v\n%s", err, out)
	}
	u := resolve.NewUniverse("amd64")
	for _, s := range suites {
		if err := u.Add(s, resolve.PinDefault, index(t, root, s)); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for i, wish := range wishes(t) {
		if *allSets || i%6 == 0 {
			all = append(all, wish)
		}
	}
	chosen := make([][]string, len(all)) // apt's, asked two at a time: each takes a second or two
	var g errgroup.Group
	g.SetLimit(2)
	for i, wish := range all {
		g.Go(func() error {
			out, err := apt(t, root, append([]string{"-s", "--no-install-recommends", "install"}, strings.Fields(wish)...)...)
			if err != nil {
				return fmt.Errorf("apt cannot install %s: %w\n%s", wish, err, out)
			}
			chosen[i] = installed(out)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, wish := range all {
		compare(t, u, wish, chosen[i])
	}
}

func compare(t *testing.T, u *resolve.Universe, wish string, want []string) {
	t.Helper()
	choices, err := resolve.Install(u, strings.Fields(wish))
	if err != nil {
		t.Errorf("%s: %v", wish, err)
		return
	}
	var got []string
	for _, c := range choices {
		got = append(got, c.Name+"="+c.Version)
	}
	for _, p := range want {
		if !slices.Contains(got, p) {
			t.Errorf("%s: apt takes %s, we do not", wish, p)
		}
	}
	for _, p := range got {
		if !slices.Contains(want, p) {
			t.Errorf("%s: we take %s, apt does not", wish, p)
		}
	}
}

func wishes(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("testdata/sets.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

func unpack(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// update makes an empty root for apt with lists of its own.
func update(t *testing.T, root string) (string, error) {
	t.Helper()
	for _, d := range []string{"etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d", "etc/apt/sources.list.d",
		"var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial", "var/log/apt"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	list := ""
	for _, s := range suites {
		where := "debian"
		if strings.HasSuffix(s, "security") {
			where = "debian-security"
		}
		list += "deb http://deb.debian.org/" + where + " " + s + " main\n"
	}
	ring, err := os.ReadFile("../apt/debian-archive-keyring.gpg")
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"etc/apt/sources.list": list, "etc/apt/trusted.gpg.d/debian.gpg": string(ring), "var/lib/dpkg/status": "",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return apt(t, root, "update", "--error-on=any")
}

func apt(t *testing.T, root string, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"-o", "Dir=" + root, "-o", "Dir::State::status=" + root + "/var/lib/dpkg/status",
		"-o", "APT::Architecture=amd64", "-o", "APT::Architectures::=amd64", "-o", "Debug::NoLocking=1",
		"-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"}, args...)
	cmd := exec.CommandContext(t.Context(), "apt-get", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "APT_CONFIG="+root+"/none")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// index reads a Packages file that apt downloaded.
func index(t *testing.T, root, suite string) string {
	t.Helper()
	found, err := filepath.Glob(root + "/var/lib/apt/lists/*_dists_" + suite + "_main_binary-amd64_Packages*")
	if err != nil || len(found) != 1 {
		t.Fatalf("indexes of %s: %v, %v", suite, found, err)
	}
	cat := exec.CommandContext(t.Context(), "/usr/lib/apt/apt-helper", "cat-file", found[0])
	out, err := cat.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func installed(out string) []string {
	var all []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Inst" {
			all = append(all, f[1]+"="+strings.Trim(f[2], "()"))
		}
	}
	return all
}
