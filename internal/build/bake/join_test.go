package bake_test

import (
	"bufio"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"naru/internal/build/bake"
	"naru/internal/build/bake/bakefix"
)

// askedOnce holds an archive against "no file was downloaded twice", but for
// what each bake must ask to know the day.
func askedOnce(t *testing.T, a *bakefix.Archive) {
	t.Helper()
	if n := a.Asked("by-hash/"); n != 1 {
		t.Errorf("the index was asked for %d times, want once", n)
	}
	for _, name := range a.Names("/pool/") {
		if n := a.Asked(name); n != 1 {
			t.Errorf("%s was asked for %d times, want once", name, n)
		}
	}
}

// steps lists the steps that a bake went through.
func steps(res bake.Result) []string {
	var all []string
	for _, s := range res.Steps {
		all = append(all, s.Name)
	}
	return all
}

func TestEqualBakesAtOnceWorkOnce(t *testing.T) {
	for _, at := range []string{"resolve", "layers"} {
		t.Run("while the first is at "+at, func(t *testing.T) {
			a := small(t)
			b := smallBaker(t, a, t.TempDir(), nil)
			spec := smallSpec(t, a, "")
			there, waits := make(chan struct{}), make(chan struct{})
			type outcome struct {
				res bake.Result
				err error
			}
			first := make(chan outcome, 1)
			go func() {
				res, err := b.Bake(t.Context(), spec, bake.Options{Progress: func(e bake.Event) {
					if e.Kind == bake.Begun && e.Step == at {
						close(there)
						<-waits
					}
				}})
				first <- outcome{res, err}
			}()
			<-there
			waited := 0
			second, err := b.Bake(t.Context(), spec, bake.Options{Progress: func(e bake.Event) {
				if e.Kind == bake.Begun && e.Step == "waiting" {
					if waited++; waited == 1 {
						close(waits)
					}
				}
			}})
			one := <-first
			if one.err != nil || err != nil || one.res.Digest != second.Digest {
				t.Fatalf("%s, %v and %s, %v", one.res.Digest, one.err, second.Digest, err)
			}
			if one.res.Remembered || !second.Remembered || slices.Contains(steps(second), "resolve") || slices.Contains(steps(second), "layers") {
				t.Errorf("the second went through %v, remembered %v; want it to take the first one's", steps(second), second.Remembered)
			}
			askedOnce(t, a)
		})
	}
}

func TestEqualBakesOfTwoProcessesWorkOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		meanwhile  func(cmd *exec.Cmd, goOn func()) // once the second waits
		remembered bool
	}{
		"the first ends":      {func(_ *exec.Cmd, goOn func()) { goOn() }, true},
		"the first is killed": {func(cmd *exec.Cmd, _ func()) { _ = cmd.Process.Kill() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := small(t)
			dir, spec := childDir(t, a)
			cmd := childIn(t, dir, childPause+"=layers")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := bufio.NewReader(out)
			if line, err := said.ReadString('\n'); line != "paused\n" {
				t.Fatalf("the child said %q, %v", line, err)
			}
			cache := filepath.Join(dir, "cache")
			waited := 0
			res, err := smallBaker(t, a, cache, nil).Bake(t.Context(), spec, bake.Options{Progress: func(e bake.Event) {
				if e.Kind == bake.Begun && e.Step == "waiting" {
					waited++
					tc.meanwhile(cmd, func() { _ = in.Close() })
				}
			}})
			if err != nil || waited != 1 || res.Remembered != tc.remembered {
				t.Errorf("remembered %v after waiting %d times, %v; want %v after once", res.Remembered, waited, err, tc.remembered)
			}
			digest, _ := said.ReadString('\n')
			werr := cmd.Wait()
			if tc.remembered && (werr != nil || digest != res.Digest+"\n") {
				t.Errorf("the first: %q, %v; want %s", digest, werr, res.Digest)
			}
			if tc.remembered {
				askedOnce(t, a)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "tmp", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestASecondBakeDoesItselfWhatTheFirstCouldNot(t *testing.T) {
	a := small(t)
	name := a.Names("/pool/main/tool")[0]
	whole := a.Get(name)
	a.Put(name, whole[:len(whole)-1])
	b := smallBaker(t, a, t.TempDir(), nil)
	spec := smallSpec(t, a, "")
	there, waits, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := b.Bake(t.Context(), spec, bake.Options{Progress: func(e bake.Event) {
			if e.Kind == bake.Begun && e.Step == "layers" {
				close(there)
				<-waits
			}
			if e.Kind == bake.Ended && e.Step == "layers" {
				a.Put(name, whole) // the mirror is mended before the second has its turn
			}
		}})
		ended <- err
	}()
	<-there
	res, err := b.Bake(t.Context(), spec, bake.Options{Progress: func(e bake.Event) {
		if e.Kind == bake.Begun && e.Step == "waiting" {
			close(waits)
		}
	}})
	if first := <-ended; first == nil {
		t.Error("the first bake believed a truncated package")
	}
	if err != nil || res.Remembered {
		t.Errorf("the second: remembered %v, %v", res.Remembered, err)
	}
}

func TestDifferentBakesAtOnceShareDownloads(t *testing.T) {
	a := small(t)
	b := smallBaker(t, a, t.TempDir(), nil)
	specs := []bake.Spec{smallSpec(t, a, ""), smallSpec(t, a, "env: {A: b}\n"), smallSpec(t, a, "files: [{path: /etc/motd, content: hi}]\n")}
	digests, errs := make([]string, len(specs)), make(chan error, len(specs))
	for i, spec := range specs {
		go func() {
			res, err := b.Bake(t.Context(), spec, bake.Options{})
			digests[i] = res.Digest
			errs <- err
		}()
	}
	var err error
	for range specs {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		t.Fatal(err)
	}
	askedOnce(t, a)
	for i, spec := range specs {
		alone, err := smallBaker(t, a, t.TempDir(), nil).Bake(t.Context(), spec, bake.Options{})
		if err != nil || alone.Digest != digests[i] {
			t.Errorf("beside others %s, alone %s, %v", digests[i], alone.Digest, err)
		}
	}
}
