package main

import (
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUsageErrorsOfRoles(t *testing.T) {
	for _, c := range []struct{ name, line, says, try string }{
		{"unknown command", "gatway", `naru has no command "gatway"`, "naru gateway"},
		{"nothing near", "frobnicate", `naru has no command "frobnicate"`, "naru --help lists them"},
		{"an argument too many", "up now", "now", "naru up"},
		{"an argument too many for the server", "server now", "now", "naru server"},
		{"no file", "restore", "arg", "naru restore"},
		{"unknown flag", "up --frobnicate", "--frobnicate", "naru up --help"},
		{"nearly a flag", "up --efemeral", "--efemeral", "naru up --ephemeral"},
		{"nearly a flag of the gateway", "gateway --tabel x", "--tabel", "naru gateway --table"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := said(t, strings.Fields(c.line)...)
			if code != 2 || out != "" || !strings.HasPrefix(errs, "error: ") || !strings.Contains(errs, c.says) ||
				!strings.Contains(errs, "\ntry:   "+c.try) || strings.Contains(errs, "[flags]") {
				t.Errorf("exit code %d, %q\n%s", code, out, errs)
			}
		})
	}
}

// A setting that cannot be is an error before anything is started.
func TestRolesRefuseBadSettings(t *testing.T) {
	for _, role := range []string{"up", "down", "server", "gateway", "doctor"} {
		code, out, errs := said(t, role, "--data-dir", t.TempDir(), "--listen-api", "nowhere")
		if code == 0 || !strings.Contains(errs, "nowhere") {
			t.Errorf("naru %s: exit code %d\n%s%s", role, code, out, errs)
		}
	}
}

func TestGatewayNeedsItsTable(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "table.json")
	code, _, errs := said(t, "gateway", "--data-dir", t.TempDir(), "--table", missing, "--listen", "127.0.0.1:0")
	if code == 0 || !strings.Contains(errs, missing) {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

func TestReloadNeedsAPlatform(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"gateway", "reload", "--data-dir", dir}, {"gateway", "reload", "--data-dir", dir, "--json"}} {
		code, out, errs := said(t, args...)
		if code == 0 || out != "" && args[len(args)-1] != "--json" || !strings.Contains(out+errs, "no naru up runs on "+dir) || !strings.Contains(out+errs, "naru up --data-dir "+dir) {
			t.Errorf("naru %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
		}
	}
}

// killAfter counts down the commits that its file names, and is nothing without.
func TestKillAfterCountsDown(t *testing.T) {
	if killAfter(func(string) string { return "" }) != nil {
		t.Error("armed without a file")
	}
	file := filepath.Join(t.TempDir(), "kill")
	kill := killAfter(func(string) string { return file })
	kill(1) // not armed: the file is not there
	if err := os.WriteFile(file, []byte("3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kill(2)
	if left, err := os.ReadFile(file); err != nil || string(left) != "2" {
		t.Errorf("left %q, %v", left, err)
	}
}

// On other systems naru is a client: it builds there without what needs Linux,
// and knows the same roles.
func TestOtherSystemsAreClients(t *testing.T) {
	for _, system := range []string{"darwin", "windows"} {
		t.Run(system, func(t *testing.T) {
			elsewhere := build.Default
			elsewhere.GOOS = system
			made, err := elsewhere.ImportDir(".", 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(made.GoFiles, "roles_other.go") || slices.Contains(made.Imports, "naru/internal/server") {
				t.Errorf("made of %v, which import %v", made.GoFiles, made.Imports)
			}
			text, err := os.ReadFile("roles_other.go")
			if err != nil {
				t.Fatal(err)
			}
			for _, role := range roles() {
				if !strings.Contains(string(text), `"`+role.Name()+`"`) {
					t.Errorf("naru %s is not known there", role.Name())
				}
			}
			if testing.Short() {
				t.Skip("compiling for another system is slow")
			}
			vet := exec.Command("go", "vet", ".")
			vet.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
			if said, err := vet.CombinedOutput(); err != nil {
				t.Errorf("go vet: %v\n%s", err, said)
			}
		})
	}
}
