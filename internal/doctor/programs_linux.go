package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

const (
	oldestContainerd = "1.6.0" // the task API that the client needs
	oldestRunc       = "1.1.0" // the seccomp and cgroup v2 support that instances need
)

func checkContainerd(ctx context.Context, env Env) Finding {
	if addr := env.Config.Containerd.Address; addr != "" {
		return answering(ctx, "containerd", env.Config.ContainerdSocket(), "systemctl start containerd, or leave containerd.address empty for a private one")
	}
	return version(ctx, env, "containerd", env.Config.Containerd.Binary, oldestContainerd, "apt-get install containerd")
}

func checkRunc(ctx context.Context, env Env) Finding {
	return version(ctx, env, "runc", "", oldestRunc, "apt-get install runc")
}

var versionPattern = regexp.MustCompile(`\d+\.\d+\.\d+`)

// version finds a program and compares what it says it is.
func version(ctx context.Context, env Env, name, path, oldest, cure string) Finding {
	if path == "" {
		path = name
	}
	found, err := env.LookPath(path)
	if err != nil {
		return fail(cure, "%s is not installed", name)
	}
	out, err := exec.CommandContext(ctx, found, "--version").CombinedOutput()
	if err != nil {
		return fail(cure, "%s does not start: %v: %s", found, err, firstLine(out))
	}
	text := versionPattern.FindString(string(out))
	have, err := semver.NewVersion(text)
	if err != nil {
		return warn(cure, "%s says %q, which holds no version", found, firstLine(out))
	}
	if have.LessThan(semver.MustParse(oldest)) {
		return fail(cure, "%s is version %s; %s or newer is needed", found, text, oldest)
	}
	return ok("%s %s", found, text)
}

func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// answering checks that somebody accepts on a unix socket.
func answering(ctx context.Context, name, socket, cure string) Finding {
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, "unix", socket)
	if err != nil {
		return fail(cure, "%s does not answer on %s: %v", name, socket, err)
	}
	_ = conn.Close()
	return ok("%s answers on %s", name, socket)
}

// PluginDirs are where distributions keep CNI plugins.
var PluginDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

func checkCNI(_ context.Context, env Env) Finding {
	dirs := PluginDirs
	if dir := env.Config.CNI.PluginDir; dir != "" {
		dirs = []string{dir}
	}
	const cure = "apt-get install containernetworking-plugins, or name their folder with --cni-plugin-dir"
	for _, dir := range dirs {
		missing := missingPlugins(dir)
		switch {
		case len(missing) == 0:
			return ok("plugins in %s", dir)
		case len(missing) < 3:
			return fail(cure, "CNI plugins are missing in %s: %s", dir, strings.Join(missing, ", "))
		}
	}
	return fail(cure, "there are no CNI plugins in %s", strings.Join(dirs, ", "))
}

func missingPlugins(dir string) []string {
	var missing []string
	for _, name := range []string{"bridge", "host-local", "loopback"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode()&0o111 == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

func checkRules(ctx context.Context, env Env) Finding {
	const cure = "apt-get install nftables iptables"
	var troubles []string
	for _, try := range [][]string{{"nft", "list", "tables"}, {"iptables", "-w", "-S", "FORWARD"}} {
		path, err := env.LookPath(try[0])
		if err != nil {
			troubles = append(troubles, try[0]+" is not installed")
			continue
		}
		out, err := exec.CommandContext(ctx, path, try[1:]...).CombinedOutput()
		if err != nil {
			troubles = append(troubles, fmt.Sprintf("%s does not work (%s)", path, firstLine(out)))
			continue
		}
		return ok("%s works", path)
	}
	return fail(cure, "nothing can write network rules: %s", strings.Join(troubles, "; "))
}

// BuildkitNames are what the build daemon may be called, ours first.
var BuildkitNames = []string{"naru-buildkitd", "buildkitd"}

func checkBuildkitd(ctx context.Context, env Env) Finding {
	socket := strings.TrimPrefix(env.Config.BuildkitAddress(), "unix://")
	if env.Config.Buildkit.Address != "" {
		return answering(ctx, "buildkitd", socket, "start it, or leave buildkit.address empty for a private one")
	}
	if child, found := childOf(env, "buildkitd"); found {
		if f := answering(ctx, "buildkitd", socket, "read "+child.Log); f.Level != OK {
			if child.Reason != "" {
				f.Cause += " (it died: " + child.Reason + ")"
			}
			return f
		}
		return ok("answers on %s", socket)
	}
	if path := env.Config.Buildkit.Binary; path != "" {
		if _, err := env.LookPath(path); err != nil {
			return fail("name it with --buildkit-binary", "%s is not a program: %v", path, err)
		}
		return ok("%s", path)
	}
	for _, name := range BuildkitNames {
		for _, place := range []string{filepath.Join(env.Beside, name), filepath.Join(env.Beside, "..", "lib", "naru", name), name} {
			if path, err := env.LookPath(place); err == nil {
				return ok("%s", path)
			}
		}
	}
	return warn("make build, install the naru package, or name one with --buildkit-binary or --buildkit-address",
		"there is no buildkitd, so only ready images (--image) can be deployed to containers")
}
