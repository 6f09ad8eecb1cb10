package supervise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"naru/internal/supervise/inherit"
)

// fingerprint tells whether a running process is what would be started now:
// same program file, arguments, environment and user.
func fingerprint(c Child) (string, error) {
	info, err := os.Stat(c.Argv[0])
	if err != nil {
		return "", fmt.Errorf("find the program of %s: %w", c.Name, err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q", c.Argv, c.Env, c.Sockets, c.Version)
	fmt.Fprintf(h, " %d %d", info.Size(), info.ModTime().UnixNano())
	if c.User != nil {
		fmt.Fprintf(h, " %d:%d", c.User.UID, c.User.GID)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// start starts the child in a session of its own, so that Ctrl-C at the
// terminal reaches only the supervisor. Its output goes straight into its log
// file: a pipe to us would kill it when we die.
func (s *supervisor) start(ctx context.Context, c Child) (*handle, record, error) {
	if c.Prepare != nil {
		if err := c.Prepare(ctx); err != nil {
			return nil, record{}, fmt.Errorf("prepare %s: %w", c.Name, err)
		}
	}
	print, err := fingerprint(c)
	if err != nil {
		return nil, record{}, err
	}
	log, err := openLog(s.logPath(c), s.spec.LogBytes)
	if err != nil {
		return nil, record{}, err
	}
	defer log.Close()

	cmd := exec.Command(c.Argv[0], c.Argv[1:]...) // not CommandContext: it must survive us
	cmd.Dir = c.Dir
	if cmd.Dir == "" {
		cmd.Dir = s.spec.DataDir
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.User != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.User.UID), Gid: uint32(c.User.GID)}
	}
	files, names, err := s.files(c)
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if err != nil {
		return nil, record{}, err
	}
	cmd.ExtraFiles = files
	cmd.Env = s.environ(c, names)
	if err := cmd.Start(); err != nil {
		return nil, record{}, fmt.Errorf("start %s: %w", c.Name, err)
	}
	id, err := identify(cmd.Process.Pid)
	if err != nil { // it is a zombie already: ours until we wait for it
		state, _ := cmd.Process.Wait()
		return nil, record{}, errors.New(describe(state))
	}
	r := record{identity: id, Child: c.Name, Print: print}
	if err := s.pids.write(r); err != nil {
		s.spec.Log.ErrorContext(ctx, "pid file not written", "child", c.Name, "err", err)
	}
	h, err := id.open()
	if err != nil {
		state, _ := cmd.Process.Wait()
		return nil, r, errors.Join(errors.New(describe(state)), s.pids.remove(r))
	}
	h.child = cmd.Process
	return h, r, nil
}

// files are the sockets a child gets, the handoff socket last.
func (s *supervisor) files(c Child) (files []*os.File, names []string, err error) {
	if len(c.Sockets) == 0 {
		return nil, nil, nil
	}
	for _, name := range c.Sockets {
		fd, ok := s.held[name]
		if !ok {
			continue // an optional one, not configured
		}
		f, err := inherit.File(fd, name)
		if err != nil {
			return files, nil, err
		}
		files, names = append(files, f), append(names, name)
	}
	f, err := handoff(s.spec.RunDir, c)
	if err != nil {
		return files, nil, err
	}
	return append(files, f), append(names, inherit.Handoff), nil
}

// sbin is searched last.
const sbin = ":/usr/local/sbin:/usr/sbin:/sbin"

func (s *supervisor) environ(c Child, sockets []string) []string {
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "PATH":
			pair += sbin // a root from plain su has no sbin, where runc and nft are
		case "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC":
			continue // meant for us
		}
		env = append(env, pair)
	}
	env = append(env, c.Env...)
	env = append(env, mark(s.spec, c))
	if len(sockets) > 0 {
		env = append(env, "LISTEN_FDS="+strconv.Itoa(len(sockets)), "LISTEN_FDNAMES="+strings.Join(sockets, ":"))
	}
	if c.Ready == ReadyOnNotify {
		env = append(env, "NOTIFY_SOCKET="+notifyPath(s.spec.RunDir))
	}
	return env
}

func (s *supervisor) logPath(c Child) string {
	return filepath.Join(s.spec.DataDir, "logs", c.Name+".log")
}
