//go:build linux

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"naru/internal/run/runtest"
	"naru/internal/run/spool"
)

// start runs the helper as a shim does and returns the instance's ends of its
// pipes.
func start(t *testing.T, dir string, args ...string) (stdout, stderr *os.File, helper *exec.Cmd) {
	t.Helper()
	pipe := func() (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	}
	outR, outW := pipe()
	errR, errW := pipe()
	readyR, readyW := pipe()
	helper = exec.Command(runtest.Command(t, "naru/cmd/naru-log"), append([]string{"--dir", dir}, args...)...)
	helper.ExtraFiles = []*os.File{outR, errR, readyW}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range helper.ExtraFiles {
		f.Close()
	}
	if _, err := io.ReadAll(readyR); err != nil {
		t.Fatal(err)
	}
	readyR.Close()
	return outW, errW, helper
}

func read(t *testing.T, dir string) (lines, dropped uint64, bytes int, ended bool) {
	t.Helper()
	r := spool.OpenReader(dir, spool.Offset{})
	defer r.Close()
	m := &spool.Memory{}
	for {
		records, err := r.Read(10_000, m)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			return lines, dropped, bytes, r.Offset().End
		}
		for _, rec := range records {
			switch rec.Kind {
			case spool.Line:
				lines++
				bytes += len(rec.Text) + 1
			case spool.Dropped:
				dropped += rec.Count
			}
		}
	}
}

// Nobody reads the spool while an app writes what it writes in a minute at 1
// MB/s, as fast as it can.
func TestAMinuteWithoutControlPlane(t *testing.T) {
	const total, line = 60_000_000, 100
	data := bytes.Repeat([]byte(strings.Repeat("x", line-1)+"\n"), 10_000)
	for name, tc := range map[string]struct {
		bound int
		whole bool
	}{
		"all fits": {128 << 20, true},
		"too much": {16 << 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			out, errs, helper := start(t, dir, "--bound", fmt.Sprint(tc.bound))
			for range total / len(data) {
				if _, err := out.Write(data); err != nil {
					t.Fatal(err)
				}
			}
			// TERM must not cost the last lines.
			if err := helper.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			io.WriteString(errs, "last words\n")
			out.Close()
			errs.Close()
			if err := helper.Wait(); err != nil {
				t.Fatal(err)
			}
			lines, dropped, _, ended := read(t, dir)
			if lines+dropped != total/line+1 || !ended || tc.whole != (dropped == 0) {
				t.Errorf("%d lines and %d dropped, want %d in all; ended %v", lines, dropped, total/line+1, ended)
			}
			t.Logf("helper used %s, %d KiB", helper.ProcessState.UserTime()+helper.ProcessState.SystemTime(), helper.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
		})
	}
}

func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(disk, "spool")
	if err := spool.Create(dir, spool.Meta{Instance: "i"}); err != nil {
		t.Fatal(err)
	}
	fill := filepath.Join(disk, "fill")
	for f, err := os.Create(fill); ; {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, syscall.ENOSPC) {
			f.Close()
			break
		}
	}
	out, errs, helper := start(t, dir)
	for i := range 50_000 {
		if _, err := fmt.Fprintf(out, "line %d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	// The helper takes what is in the pipe before it can see the next lines.
	deadline := time.Now().Add(time.Minute)
	after := 0
	for {
		fmt.Fprintln(out, "after")
		after++
		if lines, _, _, _ := read(t, dir); lines > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is written after there was room again")
		}
	}
	out.Close()
	errs.Close()
	if err := helper.Wait(); err != nil {
		t.Fatal(err)
	}
	lines, dropped, _, ended := read(t, dir)
	if lines+dropped != uint64(50_000+after) || dropped == 0 || !ended {
		t.Errorf("%d lines and %d dropped of %d; ended %v", lines, dropped, 50_000+after, ended)
	}
}
