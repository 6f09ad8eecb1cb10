package storetest

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// Postgres is a PostgreSQL server that belongs to one test: it listens on a unix
// socket in a folder of its own, and is gone when the test ends.
type Postgres struct {
	bin  string
	dir  string
	cred *syscall.Credential // of the user it runs as, nil for ourselves
	used atomic.Int64
}

// StartPostgres starts a server, or skips the test where no PostgreSQL is
// installed. PostgreSQL refuses to run as root, so root starts it as the user
// "postgres".
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	p := &Postgres{bin: findPostgres(t)}
	// Not t.TempDir: its parent is closed to other users, and its name may be too
	// long for a unix socket.
	dir, err := os.MkdirTemp("", "pg")
	must(t, err)
	p.dir = dir
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	if os.Geteuid() == 0 {
		p.cred = credential(t, "postgres")
		must(t, os.Chown(dir, int(p.cred.Uid), int(p.cred.Gid)))
	}
	data := filepath.Join(dir, "data")
	// A locale with rules of its own, so that a listing that leans on the
	// database's order shows.
	p.mustRun(t, "initdb", "--pgdata", data, "--username", "naru", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	// The deadline of a wait is a failure, not a pace: pg_ctl returns as soon as the server answers.
	p.mustRun(t, "pg_ctl", "--pgdata", data, "--log", filepath.Join(dir, "log"), "--wait", "--timeout", "60",
		"--options", fmt.Sprintf("-c listen_addresses='' -c unix_socket_directories='%s' -c max_connections=200", dir), "start")
	t.Cleanup(func() {
		p.mustRun(t, "pg_ctl", "--pgdata", data, "--mode", "immediate", "--wait", "stop")
	})
	return p
}

// Database makes an empty database and returns its URL.
func (p *Postgres) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", p.used.Add(1))
	p.mustRun(t, "createdb", "--host", p.dir, "--username", "naru", name)
	q := url.Values{"host": {p.dir}, "user": {"naru"}}
	return "postgres:///" + name + "?" + q.Encode()
}

func (p *Postgres) mustRun(t testing.TB, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	if p.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.cred}
	}
	// A file, not a pipe: the server that pg_ctl leaves behind inherits it.
	out, err := os.CreateTemp("", "pg-out")
	must(t, err)
	defer func() { must(t, errors.Join(out.Close(), os.Remove(out.Name()))) }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		t.Fatalf("%s: %v\n%s%s", program, err, text, log)
	}
}

// findPostgres returns the folder of the newest installed server's programs.
func findPostgres(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path) // its neighbours may not be linked
		must(t, err)
		return filepath.Dir(path)
	}
	dirs, err := fs.Glob(os.DirFS("/"), "usr/lib/postgresql/*/bin/initdb")
	must(t, err)
	if len(dirs) == 0 {
		t.Skip("no PostgreSQL server is installed: no initdb in PATH or /usr/lib/postgresql (apt install postgresql)")
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(a) - version(b) })
	return "/" + filepath.Dir(dirs[len(dirs)-1])
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[3]) // a folder that is no number sorts first
	return n
}

func credential(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Skipf("PostgreSQL does not run as root and there is no user %q: %v", name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	must(t, err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	must(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
