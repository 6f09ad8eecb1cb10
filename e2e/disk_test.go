package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onSmallDisk is a platform whose data folder is a disk of its own.
func onSmallDisk(t *testing.T, mib int, settings ...string) *platform {
	t.Helper()
	p := prepare(t, settings...)
	if err := os.MkdirAll(p.data(), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", p.data(), "tmpfs", 0, fmt.Sprintf("size=%dm,mode=711", mib)); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(p.data(), 0); err != nil {
			t.Errorf("something holds the data folder: %v", err)
		}
	})
	p.begin(t)
	return p
}

// film takes what is free on the platform's disk, to the last byte.
func (p *platform) film(t *testing.T) (remove func()) {
	t.Helper()
	path := filepath.Join(p.data(), "film")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

func (p *platform) free(t *testing.T) int64 {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(p.data(), &fs); err != nil {
		t.Fatal(err)
	}
	return int64(fs.Bfree) * fs.Bsize
}

// probing is a folder whose Dockerfile makes an image of the probe, which runs
// these steps of it while it is built.
func probing(t *testing.T, steps ...string) string {
	t.Helper()
	dir := probe(t)
	text := "FROM scratch\nCOPY bin/probe /probe\n"
	for _, s := range steps {
		text += fmt.Sprintf("RUN [\"/probe\", %q]\n", s)
	}
	text += "USER 1000\nCMD [\"/probe\"]\n"
	if err := errors.Join(os.Remove(filepath.Join(dir, "Procfile")), os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A full disk is said to be full, with its path and the way out, whoever fills
// it and whenever; what is there goes on, and so does the platform as soon as
// there is room, without a restart.
func TestDiskFull(t *testing.T) {
	slow(t)
	p := onSmallDisk(t, 128)
	full := []string{"disk is full at " + p.data(), "of 128 MiB free", "naru gc"}
	kept := []string{"disk is nearly full at " + p.data(), "of 128 MiB free", "(10%) are for naru itself", "reserve.disk_percent", "naru gc"}

	t.Run("by an upload", func(t *testing.T) {
		dir := probing(t)
		film := bytes.Repeat([]byte("0123456789abcdef"), 8<<20)
		if err := os.WriteFile(filepath.Join(dir, "film.bin"), film, 0o644); err != nil {
			t.Fatal(err)
		}
		p.admin.refused(t, []string{"push", "film", "--path", dir}, "disk ran full at "+p.data(), "of 128 MiB free now", "naru gc")
	})
	t.Run("nothing is left of it", func(t *testing.T) {
		p.admin.do(t, "push", "shop", "--path", probing(t))
		p.says(t, "shop", "/", "probe")
		p.admin.do(t, "push", "idle", "--path", probing(t))
	})
	t.Run("by a build", func(t *testing.T) {
		p.admin.refused(t, []string{"push", "shop", "--path", probing(t, "fill")}, full...)
		p.says(t, "shop", "/", "probe")
		eventually(t, 30*time.Second, "the build's leftovers go", func() error {
			if n := p.free(t); n < 20<<20 {
				return fmt.Errorf("%d bytes free", n)
			}
			return nil
		})
	})
	t.Run("by somebody else while something is built", func(t *testing.T) {
		cmd := p.admin.command("push", "shop", "--path", probing(t, "linger"))
		var out output
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, "the build runs", func() error {
			if !runs(t, "/probe", "linger") {
				return errorText(out.String())
			}
			return nil
		})
		remove := p.film(t)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(45 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("the push does not end on a full disk")
			<-ended
		}
		t.Logf("push said:\n%s", lastLines(out.String(), 6))
		if cmd.ProcessState.ExitCode() <= 0 {
			t.Errorf("the push ended with %d", cmd.ProcessState.ExitCode())
		}
		for _, word := range full {
			if !strings.Contains(out.String(), word) {
				t.Errorf("push does not say %q:\n%s", word, out.String())
			}
		}

		// On the full disk: what needs room is refused, what makes room is not.
		p.film(t)
		p.admin.refused(t, []string{"push", "blog", "--path", probing(t)}, kept...)
		p.admin.refused(t, []string{"scale", "shop", "2"}, kept...)
		mustNotSay(t, p.admin.do(t, "apps"), "blog")
		p.says(t, "shop", "/", "probe")
		p.admin.do(t, "gc")
		p.film(t)
		p.kill(t, "naru", "server")
		eventually(t, 30*time.Second, "a server starts on the full disk", func() error {
			if out, code := p.admin.run(t, "", "apps"); code != 0 {
				return errorText(out)
			}
			return nil
		})
		p.says(t, "shop", "/", "probe")
		p.film(t)
		p.admin.do(t, "stop", "shop")
		p.film(t)
		p.admin.refused(t, []string{"start", "shop"}, kept...)
		p.film(t)
		p.admin.do(t, "delete", "idle", "--yes")
		remove()
		p.admin.do(t, "start", "shop")
		p.admin.do(t, "scale", "shop", "2")
		p.admin.do(t, "push", "blog", "--path", probing(t))
		p.says(t, "blog", "/", "probe")
		p.admin.do(t, "delete", "blog", "--yes")
	})
}

var droppedLines = regexp.MustCompile(`(\d+) lines dropped \(disk\)`)

// A disk that is full costs lines of output, which are counted, and nothing
// else.
func TestDiskFullOfLogs(t *testing.T) {
	slow(t)
	p := onSmallDisk(t, 96)
	p.admin.do(t, "push", "chatty", "--path", probing(t), "--env", "RATE=200000")
	remove := p.film(t)
	before := p.written(t)
	eventually(t, 30*time.Second, "the app writes on", func() error {
		if n := p.written(t) - before; n < 10_000 {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	mustSay(t, p.admin.do(t, "app", "chatty"), "healthy")
	remove()
	after := p.written(t)
	p.admin.do(t, "stop", "chatty")
	var last, dropped, lines int
	eventually(t, 30*time.Second, "lines are imported again", func() error {
		out, code := p.admin.run(t, "", "logs", "chatty", "--source", "APP", "-n", "1000000")
		if code != 0 {
			return errorText(lastLines(out, 3))
		}
		last, dropped, lines = 0, 0, 0
		for line := range strings.Lines(out) {
			if m := droppedLines.FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[1])
				dropped += n
			}
			if _, text, ok := strings.Cut(line, " line "); ok {
				lines++
				last, _ = strconv.Atoi(text[:8])
			}
		}
		if last < after || dropped == 0 {
			return fmt.Errorf("%d lines, %d dropped, the last is %d, %d were written when there was room", lines, dropped, last, after)
		}
		return nil
	})
	t.Logf("%d lines kept, %d dropped, the last is %d", lines, dropped, last)
	if lines+dropped != last {
		t.Errorf("%d lines and %d dropped are not the %d that were written", lines, dropped, last)
	}
}

// The output of a build is bounded, and the build goes on.
func TestBuildLogIsBounded(t *testing.T) {
	slow(t)
	p := start(t, "NARU_BUILD_LOG_BYTES=256KiB")
	p.admin.do(t, "push", "loud", "--path", probing(t, "shout"))
	p.says(t, "loud", "/", "probe")
	out := p.admin.do(t, "logs", "loud", "--source", "STG", "-n", "100000")
	mustSay(t, out, "over 256 KiB (build.log_bytes)", "bytes of output dropped")
	if n := strings.Count(out, "shout "); n < 2000 || n > 3000 {
		t.Errorf("%d lines were kept", n)
	}
}

// What does not fit the machine is refused with numbers.
func TestMemoryIsPromisedOnce(t *testing.T) {
	slow(t)
	p := start(t, "NARU_RESERVE_MEMORY_OVERCOMMIT=0.05")
	p.admin.do(t, "push", "shop", "--path", probing(t), "--memory", "64M")
	p.admin.refused(t, []string{"scale", "shop", "400"}, "shop needs 400 x 64 MiB, and 64 MiB beside for replacing one at a time;", "MiB are free", "fits; or --memory", "reserve.memory_overcommit")
	p.admin.refused(t, []string{"push", "blog", "--path", probing(t), "--memory", "8G"}, "blog needs 1 x 8,192 MiB, and 8,192 MiB beside", "largest: shop 1 x 64 MiB")
	p.admin.refused(t, []string{"run", "shop", "--memory", "8G", "--", "/probe", "linger"}, "a task of shop needs 1 x 8,192 MiB;")
	mustNotSay(t, p.admin.do(t, "apps"), "blog")
	p.admin.do(t, "scale", "shop", "3")
}

func mustNotSay(t testing.TB, text, word string) {
	t.Helper()
	if strings.Contains(text, word) {
		t.Errorf("it says %q:\n%s", word, text)
	}
}

// runs reports whether a process with these arguments lives.
func runs(t testing.TB, argv ...string) bool {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		if line, err := os.ReadFile(path); err == nil && string(line) == strings.Join(argv, "\x00")+"\x00" {
			return true
		}
	}
	return false
}
