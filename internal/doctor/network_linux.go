package doctor

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"naru/internal/config"
	"naru/internal/supervise"
)

func checkPorts(ctx context.Context, env Env) Finding {
	pid, _, err := supervise.Holder(env.Config.DataDir)
	if err == nil && pid > 0 {
		return ok("held by naru up, process %d", pid)
	}
	mine := leftRunning(env.Config)
	addrs := []string{env.Config.Listen.API, env.Config.Listen.Registry, env.Config.Listen.Apps}
	for _, more := range []string{env.Config.Listen.AppsTLS, env.Config.Listen.Metrics, env.Config.Listen.OTLP, env.Config.Listen.Zipkin} {
		if more != "" {
			addrs = append(addrs, more)
		}
	}
	said := strings.Join(addrs, ", ")
	if ports, err := env.Config.Listen.TCP(); err == nil && ports.First > 0 {
		said += " and the ports of " + env.Config.Listen.TCPPorts
		for _, addr := range ports.Sockets {
			addrs = append(addrs, addr)
		}
	}
	for _, addr := range addrs {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		switch {
		case err == nil:
			_ = ln.Close()
		case errors.Is(err, unix.EADDRINUSE):
			owner := portOwner(env, addr)
			if mine[owner.pid] {
				continue // our gateway, which naru up adopts
			}
			return fail(owner.cure(), "%s is taken by %s", addr, owner)
		case errors.Is(err, unix.EACCES):
			return fail("sudo naru up, or choose a port above 1023", "%s may not be opened by this user", addr)
		default:
			return fail("choose an address of this machine", "%s cannot be opened: %v", addr, err)
		}
	}
	return ok("%s are free", said)
}

// leftRunning are the processes that a stopped supervisor left for the next.
func leftRunning(c config.Config) map[int]bool {
	mine := map[int]bool{}
	if st, found, err := supervise.ReadStatus(c.RunDir); err == nil && found {
		for _, child := range st.Children {
			mine[child.PID] = true
		}
	}
	return mine
}

type program struct {
	pid  int
	name string
}

func (p program) String() string {
	if p.pid == 0 {
		return "a program of another user or network namespace"
	}
	return p.name + ", process " + strconv.Itoa(p.pid)
}

func (p program) cure() string {
	if p.pid == 0 {
		return "sudo ss -ltnp, or choose other addresses (--listen-api, --listen-registry, --listen-apps)"
	}
	return "stop it (kill " + strconv.Itoa(p.pid) + "), or choose other addresses (--listen-api, --listen-registry, --listen-apps)"
}

// portOwner finds who listens on a port: the socket's inode from the kernel's
// list, then the process that has it open.
func portOwner(env Env, addr string) program {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return program{}
	}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, err := os.ReadFile(filepath.Join(env.Proc, table))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !portIs(f[1], port) { // 0A is LISTEN
				continue
			}
			if p := socketOwner(env, f[9]); p.pid != 0 {
				return p
			}
		}
	}
	return program{}
}

func portIs(local, port string) bool {
	_, digits, ok := strings.Cut(local, ":")
	raw, err := hex.DecodeString(digits)
	return ok && err == nil && len(raw) == 2 && strconv.Itoa(int(raw[0])<<8|int(raw[1])) == port
}

func socketOwner(env Env, inode string) program {
	links, err := filepath.Glob(filepath.Join(env.Proc, "[0-9]*/fd/*"))
	if err != nil {
		return program{}
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != "socket:["+inode+"]" {
			continue
		}
		dir := filepath.Dir(filepath.Dir(link))
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue
		}
		name := strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))
		if len(name) > 80 {
			name = name[:80] + "…"
		}
		return program{pid: pid, name: name}
	}
	return program{}
}

// checkLocalhost asks as programs do that use the C library: this binary's own
// resolver would not see what a name service module adds.
func checkLocalhost(ctx context.Context, env Env) Finding {
	if domain := env.Config.AppsDomain; domain != "localhost" && !strings.HasSuffix(domain, ".localhost") {
		return ok("apps are at *.%s", domain)
	}
	getent, err := env.LookPath("getent")
	if err != nil {
		return skipped("there is no getent to ask")
	}
	if err := exec.CommandContext(ctx, getent, "hosts", "doctor."+env.Config.AppsDomain).Run(); err != nil {
		return warn("apt-get install libnss-myhostname",
			"*.%s resolves for browsers and curl only; other programs on this machine do not find apps by name", env.Config.AppsDomain)
	}
	return ok("*.%s resolves", env.Config.AppsDomain)
}
