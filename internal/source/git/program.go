package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"naru/internal/fault"
)

// program fetches with the system's git.
type program struct {
	opts Options
	dir  string // temporary; the repository and the files of credentials lie in it
}

func (p *program) repo() string { return filepath.Join(p.dir, "repo") }

var commitID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func (p *program) fetch(ctx context.Context, at Location, creds Credentials) (string, error) {
	env, err := p.environment(creds)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", at, err)
	}
	run := func(args ...string) (string, error) { return p.run(ctx, env, at, creds, args...) }
	if _, err := run("init", "--bare", "--quiet", "--template=", p.repo()); err != nil {
		return "", err
	}
	want := at.Ref
	if want == "" {
		want = "HEAD"
	}
	fetch := []string{"-C", p.repo(), "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-commit-graph", "--no-auto-maintenance"}
	if _, err := run(append(fetch, "--depth=1", "--", at.URL, want)...); err == nil {
		return run("-C", p.repo(), "rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}")
	} else if !looksLikeCommit(at.Ref) || ctx.Err() != nil || fault.Is(err, fault.Denied) {
		return "", err
	}
	// Servers may refuse to give a commit by its id, and none knows short ones:
	// then everything comes and the id is looked up here.
	if _, err := run(append(fetch, "--", at.URL, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")...); err != nil {
		return "", err
	}
	commit, err := run("-C", p.repo(), "rev-parse", "--verify", "--quiet", at.Ref+"^{commit}")
	if err != nil {
		return "", noSuchRef(at)
	}
	return commit, nil
}

// looksLikeCommit reports whether a ref may be (the start of) a commit's id.
func looksLikeCommit(ref string) bool {
	return len(ref) >= 7 && len(ref) <= 64 && strings.Trim(ref, "0123456789abcdef") == ""
}

// environment is all that git and what it starts get to see.
func (p *program) environment(creds Credentials) ([]string, error) {
	protocols := "https:ssh"
	if p.opts.AllowHTTP {
		protocols += ":http"
	}
	if p.opts.AllowFile {
		protocols += ":file"
	}
	settings := [][2]string{
		{"core.hooksPath", os.DevNull}, {"credential.helper", ""}, {"gc.auto", "0"}, {"core.fsmonitor", "false"},
		{"safe.directory", "*"}, // the repositories of file:// may belong to others; nothing of theirs is run
		{"http.followRedirects", "initial"},
	}
	env := append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=" + protocols, "GIT_PROTOCOL_FROM_USER=0",
		"SSH_AUTH_SOCK=",
	}, p.opts.Env...)
	if p.opts.CAFile != "" {
		env = append(env, "GIT_SSL_CAINFO="+p.opts.CAFile)
	}
	if !creds.Password.IsZero() {
		// A redirect to another host would be asked for, and get, the password.
		settings[len(settings)-1][1] = "false"
		askpass := filepath.Join(p.dir, "askpass")
		script := "#!/bin/sh\ncase \"$1\" in Username*) printf '%s\\n' \"$NARU_GIT_USER\";; *) printf '%s\\n' \"$NARU_GIT_PASSWORD\";; esac\n"
		if err := os.WriteFile(askpass, []byte(script), 0o700); err != nil {
			return nil, err
		}
		env = append(env, "GIT_ASKPASS="+askpass, "NARU_GIT_USER="+creds.User, "NARU_GIT_PASSWORD="+creds.Password.Reveal())
	}
	ssh, err := p.sshCommand(creds)
	if err != nil {
		return nil, err
	}
	env = append(env, "GIT_SSH_COMMAND="+ssh, "GIT_SSH_VARIANT=ssh", "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s[1]))
	}
	return env, nil
}

// sshCommand runs ssh with the credentials given and nothing else that may lie
// on the machine. Hosts are known or refused.
func (p *program) sshCommand(creds Credentials) (string, error) {
	known, key := filepath.Join(p.dir, "known_hosts"), filepath.Join(p.dir, "key")
	if err := os.WriteFile(known, []byte(creds.KnownHosts+"\n"), 0o600); err != nil {
		return "", err
	}
	cmd := []string{
		"ssh", "-F", os.DevNull, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile=" + quote(known), "-o", "GlobalKnownHostsFile=" + quote(p.opts.KnownHosts), "-o", "ConnectTimeout=20",
	}
	if !creds.SSHKey.IsZero() {
		if err := os.WriteFile(key, []byte(strings.TrimSpace(creds.SSHKey.Reveal())+"\n"), 0o600); err != nil {
			return "", err
		}
		cmd = append(cmd, "-i", quote(key))
	}
	return strings.Join(cmd, " "), nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// run runs git and returns what it printed. No argument ever holds a secret.
func (p *program) run(ctx context.Context, env []string, at Location, creds Credentials, args ...string) (string, error) {
	cmd := p.command(ctx, args...)
	cmd.Env = env
	var out bytes.Buffer
	errs := &tail{}
	cmd.Stdout, cmd.Stderr = &out, errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", explain(at, redact(errs.String(), creds), err)
	}
	return strings.TrimSpace(out.String()), nil
}

func (p *program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.opts.Program, args...)
	cmd.Dir = p.dir
	cmd.WaitDelay = 5 * time.Second
	ownGroup(cmd)
	return cmd
}

// tail keeps the end of what a program complained about.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-8<<10):]
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }

// entry is a line of ls-tree.
type entry struct {
	mode, object, path string
}

func (p *program) committed(ctx context.Context, commit string) (int64, error) {
	if !commitID.MatchString(commit) {
		return 0, fmt.Errorf("git gave %q for a commit", commit)
	}
	cmd := p.command(ctx, "-C", p.repo(), "show", "--no-patch", "--format=%ct", commit)
	cmd.Env = p.quiet()
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("git show: %w", err)
	}
	return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
}

func (p *program) files(ctx context.Context, commit string, add func(string, fs.FileMode, io.Reader) error) error {
	if !commitID.MatchString(commit) {
		return fmt.Errorf("git gave %q for a commit", commit)
	}
	entries, err := p.list(ctx, commit)
	if err != nil {
		return err
	}
	cmd := p.command(ctx, "-C", p.repo(), "cat-file", "--batch")
	cmd.Env = p.quiet()
	errs := &tail{}
	cmd.Stderr = errs
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	err = readObjects(bufio.NewReaderSize(out, 64<<10), in, entries, add)
	err = errors.Join(err, in.Close())
	if err != nil {
		_ = cmd.Cancel() // it may wait for someone to read
	}
	if werr := cmd.Wait(); err == nil && werr != nil {
		err = fmt.Errorf("git cat-file: %w: %s", werr, errs)
	}
	return err
}

// quiet is the environment for reading what is already here.
func (p *program) quiet() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_ALLOW_PROTOCOL=", "GIT_NO_LAZY_FETCH=1",
	}
}

func (p *program) list(ctx context.Context, commit string) ([]entry, error) {
	cmd := p.command(ctx, "-C", p.repo(), "ls-tree", "-r", "-z", "--full-tree", commit)
	cmd.Env = p.quiet()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-tree: %w", err)
	}
	var entries []entry
	for line := range strings.SplitSeq(string(out), "\x00") {
		meta, path, ok := strings.Cut(line, "\t")
		fields := strings.Fields(meta)
		if !ok || len(fields) != 3 || fields[1] != "blob" {
			continue // the end, or a submodule
		}
		entries = append(entries, entry{fields[0], fields[2], path})
	}
	return entries, nil
}

// readObjects asks for one object at a time, so that neither side waits for the
// other with a full pipe.
func readObjects(out *bufio.Reader, in io.Writer, entries []entry, add func(string, fs.FileMode, io.Reader) error) error {
	for _, e := range entries {
		if _, err := io.WriteString(in, e.object+"\n"); err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		header, err := out.ReadString('\n')
		if err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		fields := strings.Fields(header)
		if len(fields) != 3 || fields[1] != "blob" {
			return fmt.Errorf("git cat-file: %q for %s", header, e.path)
		}
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		content := io.LimitReader(out, size)
		if err := add(e.path, modeOf(e.mode), content); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		if _, err := out.Discard(1); err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
	}
	return nil
}

func modeOf(mode string) fs.FileMode {
	switch mode {
	case "120000":
		return fs.ModeSymlink
	case "100755":
		return 0o755
	}
	return 0o644
}
