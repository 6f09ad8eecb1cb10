//go:build unix

package process

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"naru/internal/fault"
	"naru/internal/run"
)

// plant gives an instance its tree: folders of its own, files linked to the
// image's.
func (d *Driver) plant(spec run.Spec) error {
	root, image := d.dir(spec.ID), d.image(spec.Image.Ref)
	for _, top := range []string{"app", "home"} {
		if err := os.MkdirAll(filepath.Join(root, top), 0o700); err != nil {
			return fmt.Errorf("make files of instance: %w", err)
		}
		from := filepath.Join(image, top)
		err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(image, path)
			if err != nil {
				return err
			}
			to := filepath.Join(root, rel)
			switch {
			case e.IsDir():
				return os.MkdirAll(to, 0o755)
			case e.Type() == fs.ModeSymlink:
				target, err := os.Readlink(path)
				if err != nil {
					return err
				}
				return os.Symlink(rewrite(target, root), to)
			}
			return os.Link(path, to)
		})
		if err != nil {
			return fmt.Errorf("make files of instance: %w", err)
		}
	}
	return nil
}

var inTree = regexp.MustCompile(`(^|[\s"'=:,(])/(app|home)(/|$|[\s"':,;)])`)

// rewrite moves /app and /home in a text to an instance's tree.
func rewrite(text, root string) string {
	// Twice: of two neighbours the first match takes what separates them.
	for range 2 {
		text = inTree.ReplaceAllString(text, "${1}"+strings.ReplaceAll(root, "$", "$$")+"/${2}${3}")
	}
	return text
}

// environment lays the app's settings over the image's, and naru's over both.
// The image's PATH comes before the machine's, whose toolchains are used.
func environment(spec run.Spec, cfg v1.Config, root string, addr netip.AddrPort) []string {
	env := map[string]string{}
	for _, line := range cfg.Env {
		name, value, _ := strings.Cut(line, "=")
		env[name] = rewrite(value, root)
	}
	for name, value := range spec.Env {
		env[name] = value.Reveal()
	}
	path := []string{}
	for _, p := range filepath.SplitList(env["PATH"]) {
		if strings.HasPrefix(p, root) {
			path = append(path, p)
		}
	}
	env["PATH"] = strings.Join(append(path, os.Getenv("PATH")), string(filepath.ListSeparator))
	env["HOME"] = filepath.Join(root, "home")
	for name, value := range spec.Placed(addr) {
		env[name] = value.Reveal()
	}
	for name, value := range map[string]string{"LANG": "C.UTF-8", "TMPDIR": "/tmp", "USER": "app"} {
		if _, said := env[name]; !said {
			env[name] = value
		}
	}
	// A virtual environment's interpreter leads to this machine's, which looks for
	// packages below its own version's name only.
	if found, err := filepath.Glob(filepath.Join(root, "app", ".venv", "lib", "python3*", "site-packages")); err == nil && len(found) == 1 && env["PYTHONPATH"] == "" {
		env["PYTHONPATH"] = found[0]
	}
	env["NARU_APP_DIR"] = filepath.Join(root, "app")
	return run.PlainEnv(env).Reveal()
}

// lookPath finds a program: in the tree, else on the machine, where an image's
// /usr/bin/node may be somewhere else.
func lookPath(program string, env []string, root string) (string, error) {
	missing := fault.New(fault.Failed, "command", "there is no such program: %s", strings.Replace(program, root, "", 1)).
		WithTry("the process driver uses this machine's toolchains: install it, or use containerd")
	if strings.Contains(program, "/") && executable(program) {
		return program, nil
	}
	if strings.HasPrefix(program, root) {
		return "", missing
	}
	for _, line := range env {
		list, ok := strings.CutPrefix(line, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			if path := filepath.Join(dir, filepath.Base(program)); filepath.IsAbs(path) && executable(path) {
				return path, nil
			}
		}
	}
	return "", missing
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
