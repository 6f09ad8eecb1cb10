// Command release turns built programs into what is published: for each
// machine a tarball and a Debian package, then a bill of materials and the
// checksums. The same programs give the same bytes.
//
//	go run ./packaging/release -version 0.1.0 -out dist bin/linux-amd64 bin/linux-arm64
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr)) }

// job is one release.
type job struct {
	version string
	root    string    // of the project: licence and docs
	out     string    // folder
	date    time.Time // of every file in every archive
}

// versionPattern is what both Debian and semantic versioning take.
var versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+~][0-9A-Za-z.+~-]+)?$`)

func run(args []string, getenv func(string) string, out, errs io.Writer) int {
	var j job
	fs := flag.NewFlagSet("release", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.StringVar(&j.version, "version", "", "version without a leading v, such as 0.1.0")
	fs.StringVar(&j.out, "out", "dist", "folder to write to")
	fs.StringVar(&j.root, "root", ".", "folder of the project")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if !versionPattern.MatchString(j.version) || fs.NArg() == 0 {
		fmt.Fprintln(errs, "usage: release -version 0.1.0 [-out dist] FOLDER... (each named OS-ARCH, with the programs in it)")
		return 2
	}
	epoch, err := strconv.ParseInt(either(getenv("SOURCE_DATE_EPOCH"), "0"), 10, 64)
	if err != nil {
		fmt.Fprintln(errs, "SOURCE_DATE_EPOCH:", err)
		return 2
	}
	j.date = time.Unix(epoch, 0).UTC()
	if err := j.make(fs.Args(), out); err != nil {
		fmt.Fprintln(errs, "release:", err)
		return 1
	}
	return 0
}

func (j job) make(folders []string, out io.Writer) error {
	if err := os.MkdirAll(j.out, 0o755); err != nil {
		return err
	}
	var made []string
	var programs []string
	for _, folder := range folders {
		machine, ok := machineOf(folder)
		if !ok {
			return fmt.Errorf("%s: must be named OS-ARCH, such as linux-amd64", folder)
		}
		found, err := j.programs(folder)
		if err != nil {
			return err
		}
		programs = append(programs, found...)
		path, err := j.tarball(machine, found)
		if err != nil {
			return fmt.Errorf("tarball for %s: %w", folder, err)
		}
		made = append(made, path)
		if machine.os != "linux" {
			continue
		}
		if path, err = j.deb(machine, found); err != nil {
			return fmt.Errorf("package for %s: %w", folder, err)
		}
		made = append(made, path)
	}
	path, err := j.sbom(programs)
	if err != nil {
		return fmt.Errorf("bill of materials: %w", err)
	}
	made = append(made, path)
	if path, err = j.sums(made); err != nil {
		return fmt.Errorf("checksums: %w", err)
	}
	for _, name := range append(made, path) {
		fmt.Fprintln(out, name)
	}
	return nil
}

type machine struct{ os, arch string }

func machineOf(folder string) (machine, bool) {
	os, arch, ok := strings.Cut(filepath.Base(folder), "-")
	return machine{os, arch}, ok && os != "" && arch != ""
}

// programs lists the programs in a folder; naru itself must be among them.
func (j job) programs(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var found []string
	main := false
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".exe")
		if !e.Type().IsRegular() || name != "naru" && !strings.HasPrefix(name, "naru-") {
			continue
		}
		main = main || name == "naru"
		found = append(found, filepath.Join(folder, e.Name()))
	}
	if !main {
		return nil, fmt.Errorf("%s: there is no program named naru", folder)
	}
	return found, nil
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
