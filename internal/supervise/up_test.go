//go:build linux

package supervise_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"naru/internal/supervise"
)

func TestAChildKilledIsBackAndNoConnectionIsRefused(t *testing.T) {
	w := newWorld(t, "gateway")
	s := up(t, w)
	addr := status(t, w).Sockets["web"]

	const kills = 3 // one more in a row is a crash loop
	for range kills {
		before := mustAsk(t, addr)
		must(t, syscall.Kill(before, syscall.SIGKILL))
		began := time.Now()
		// The connection may die with the process, once; it is never refused.
		after, err := ask(addr, "who")
		for err != nil && !strings.Contains(err.Error(), "refused") {
			after, err = ask(addr, "who")
		}
		must(t, err)
		t.Logf("answered %v after the kill", time.Since(began).Round(time.Millisecond))
		if after == before {
			t.Errorf("process %d answers after its kill", after)
		}
		s.see("died, killed by SIGKILL; restarting")
		s.see("ready")
	}
	if got := child(t, w, "gateway").Restarts; got != kills {
		t.Errorf("Restarts = %d, want %d", got, kills)
	}
}

func TestASupervisorKilledIsFollowedByOneThatAdopts(t *testing.T) {
	w := newWorld(t, "gateway", "server")
	first := up(t, w)
	addr := status(t, w).Sockets["web"]
	gateway, server := child(t, w, "gateway").PID, child(t, w, "server").PID
	must(t, first.cmd.Process.Kill())
	_ = first.wait()

	if got := mustAsk(t, addr); got != gateway {
		t.Fatalf("process %d answers without a supervisor, want %d", got, gateway)
	}
	pid, stale, err := supervise.Holder(w.DataDir)
	if pid != 0 || !stale || err != nil {
		t.Errorf("Holder() = %d, %v, %v; want a stale lock", pid, stale, err)
	}
	// Writing to its log must not kill a child whose supervisor is gone.
	if _, err := ask(addr, "log still here"); err != nil {
		t.Error(err)
	}

	second := up(t, w)
	if got := child(t, w, "gateway").PID; got != gateway {
		t.Errorf("gateway is process %d, want the adopted %d", got, gateway)
	}
	if got := child(t, w, "server").PID; got != server {
		t.Errorf("server is process %d, want the adopted %d", got, server)
	}
	if got := status(t, w).Sockets["web"]; got != addr {
		t.Errorf("socket is at %s, want %s back", got, addr)
	}
	// Adopted is kept running like its own.
	must(t, syscall.Kill(gateway, syscall.SIGKILL))
	second.see("gateway     died")
	second.see("gateway     ready")
	if got := mustAsk(t, addr); got == gateway {
		t.Error("the killed gateway answers")
	}
	text, err := os.ReadFile(filepath.Join(w.DataDir, "logs", "gateway.log"))
	must(t, err)
	if !strings.Contains(string(text), "log still here") {
		t.Errorf("the line written without a supervisor is missing in %q", text)
	}
}

func TestASecondSupervisorIsRefused(t *testing.T) {
	w := newWorld(t, "gateway")
	s := up(t, w)
	second := start(t, "supervisor", w)
	if err := second.wait(); err == nil {
		t.Error("a second supervisor of the same folder ran")
	}
	if want := fmt.Sprintf("in use by naru up, process %d", s.cmd.Process.Pid); !strings.Contains(second.all.String(), want) {
		t.Errorf("said %q, want %q", second.all.String(), want)
	}
}

func TestStoppingLeavesWhatOutlives(t *testing.T) {
	w := newWorld(t, "gateway", "server")
	s := up(t, w)
	addr := status(t, w).Sockets["web"]
	gateway, server := child(t, w, "gateway").PID, child(t, w, "server").PID
	must(t, s.stop(syscall.SIGTERM))
	if got := mustAsk(t, addr); got != gateway {
		t.Errorf("process %d answers, want %d", got, gateway)
	}
	if syscall.Kill(server, 0) == nil {
		t.Errorf("server, process %d, still runs", server)
	}
	if got := child(t, w, "gateway").State; got != supervise.Left {
		t.Errorf("gateway is %q, want %q", got, supervise.Left)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	w := newWorld(t, "gateway", "server")
	w.Remove = true
	s := up(t, w)
	must(t, s.stop(syscall.SIGINT))
	if left := marked(t, w.Name); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if _, err := os.Stat(w.RunDir); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", w.RunDir, err)
	}
}

func TestDownTakesOverFromARunningSupervisor(t *testing.T) {
	w := newWorld(t, "gateway", "server")
	s := up(t, w)
	down := start(t, "remover", w)
	if err := down.wait(); err != nil {
		t.Errorf("down: %v\n%s", err, down.all.String())
	}
	if err := s.wait(); err != nil {
		t.Errorf("the supervisor ended with %v\n%s", err, s.all.String())
	}
	if left := marked(t, w.Name); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
}

func TestDownWhereNothingRuns(t *testing.T) {
	w := newWorld(t, "gateway")
	w.Deaf = true
	must(t, os.MkdirAll(w.DataDir, 0o700)) // as a machine that was switched off left it
	down := start(t, "remover", w)
	if err := down.wait(); err != nil {
		t.Errorf("down: %v\n%s", err, down.all.String())
	}
	if want := "nothing of it runs"; !strings.Contains(down.all.String(), want) {
		t.Errorf("said %q, want %q", down.all.String(), want)
	}
}

func TestDownWithoutAControlPlaneEndsWhatRuns(t *testing.T) {
	w := newWorld(t, "gateway")
	w.Deaf = true
	s := up(t, w)
	must(t, s.cmd.Process.Kill())
	_ = s.wait()
	down := start(t, "remover", w)
	if err := down.wait(); err != nil {
		t.Errorf("down: %v\n%s", err, down.all.String())
	}
	if want := "ended without being drained: remove instances: nobody answers"; !strings.Contains(down.all.String(), want) {
		t.Errorf("said %q, want %q", down.all.String(), want)
	}
	if left := marked(t, w.Name); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
}

func TestAChangedChildIsHandedOver(t *testing.T) {
	w := newWorld(t, "gateway")
	s := up(t, w)
	addr := status(t, w).Sockets["web"]
	old := child(t, w, "gateway").PID
	must(t, s.stop(syscall.SIGTERM))

	// Visitors come all the while.
	var visitors sync.WaitGroup
	over := make(chan struct{})
	var asked, refused int
	visitors.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			asked++
			if _, err := ask(addr, "who"); err != nil {
				refused++
				t.Errorf("visitor %d: %v", asked, err)
			}
		}
	})
	w.Version = "2"
	s = start(t, "supervisor", w)
	s.see("ALL READY")
	s.see("has finished")
	close(over)
	visitors.Wait()
	t.Logf("%d visitors, %d failed", asked, refused)
	if got := mustAsk(t, addr); got == old || got != child(t, w, "gateway").PID {
		t.Errorf("process %d answers, want the new one (old %d)", got, old)
	}
}

func TestABrokenSuccessorLeavesTheOldOneServing(t *testing.T) {
	w := newWorld(t, "gateway")
	s := up(t, w)
	addr := status(t, w).Sockets["web"]
	old := child(t, w, "gateway").PID
	must(t, s.stop(syscall.SIGTERM))
	w.Version = "broken"
	s = start(t, "supervisor", w)
	s.see("stays as it was")
	s.see("ALL READY")
	if got := mustAsk(t, addr); got != old {
		t.Errorf("process %d answers, want the old %d", got, old)
	}
	if got := child(t, w, "gateway").PID; got != old {
		t.Errorf("status has process %d, want %d", got, old)
	}
}

func TestACrashLoopIsReportedWithItsReason(t *testing.T) {
	w := newWorld(t, "crash")
	s := start(t, "supervisor", w)
	s.see("keeps dying (4 times), exit 3; next try in")
	s.see("the reason stands here")
	if got := child(t, w, "crash"); got.State != supervise.Failing || got.Reason != "exit 3" {
		t.Errorf("status = %+v, want failing with exit 3", got)
	}
	_ = s.stop(syscall.SIGTERM)
}

func TestAChildThatNeverGetsReadyIsKilled(t *testing.T) {
	w := newWorld(t, "mute")
	w.StartTimeout = 100 * time.Millisecond
	s := start(t, "supervisor", w)
	s.see("killed by SIGKILL (not ready within 100ms)")
	_ = s.stop(syscall.SIGTERM)
}

func TestASecondSignalCutsTheDrainShort(t *testing.T) {
	w := newWorld(t, "stubborn", "server")
	s := up(t, w)
	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.see("server      stopped") // so the first was taken, and stubborn's hour has begun
	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	if err := s.wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestTwoPlatformsRunSideBySide(t *testing.T) {
	a, b := newWorld(t, "gateway", "server"), newWorld(t, "gateway", "server")
	a.Remove = true
	sa, sb := up(t, a), up(t, b)
	addr := status(t, b).Sockets["web"]
	before := mustAsk(t, addr)
	must(t, sa.stop(syscall.SIGTERM))
	if got := mustAsk(t, addr); got != before {
		t.Errorf("process %d answers after the other platform was removed, want %d", got, before)
	}
	_ = sb.stop(syscall.SIGTERM)
}

func TestAPidFileOfAnotherProcessIsNotTrusted(t *testing.T) {
	w := newWorld(t, "gateway")
	must(t, os.MkdirAll(filepath.Join(w.RunDir, "pids"), 0o700))
	// Our own pid, alive, with a start time that is not ours.
	text := fmt.Sprintf(`{"pid":%d,"start":1,"boot":"x","child":"gateway","print":"","ready":true}`, os.Getpid())
	file := filepath.Join(w.RunDir, "pids", fmt.Sprintf("gateway.%d.json", os.Getpid()))
	must(t, os.WriteFile(file, []byte(text), 0o600))
	up(t, w)
	if got := child(t, w, "gateway").PID; got == os.Getpid() {
		t.Error("the test itself was adopted")
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Error("the stale pid file is still there")
	}
}

func TestAChildWithoutPidFileIsFoundByItsMark(t *testing.T) {
	w := newWorld(t, "gateway")
	s := up(t, w)
	gateway := child(t, w, "gateway").PID
	must(t, s.cmd.Process.Kill())
	_ = s.wait()
	must(t, os.RemoveAll(filepath.Join(w.RunDir, "pids")))

	// Its fingerprint is unknown now, so it is replaced, not forgotten.
	s = start(t, "supervisor", w)
	s.see(fmt.Sprintf("adopted, process %d", gateway))
	s.see("ALL READY")
	s.see("has finished")
	if left := marked(t, w.Name); len(left) != 1 {
		t.Errorf("processes %v run, want one", left)
	}
}

func TestATakenPortIsNamed(t *testing.T) {
	a, b := newWorld(t, "gateway"), newWorld(t, "gateway")
	up(t, a)
	b.Addr = status(t, a).Sockets["web"]
	s := start(t, "supervisor", b)
	if err := s.wait(); err == nil || !strings.Contains(s.all.String(), b.Addr+" is taken by another program") {
		t.Errorf("err = %v, said %q", err, s.all.String())
	}
}

func TestAnUnprivilegedChildIsKeptAndAdopted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("starting a child as another user needs root")
	}
	w := newWorld(t, "gateway")
	w.UID = 65198
	first := up(t, w)
	addr, gateway := status(t, w).Sockets["web"], child(t, w, "gateway").PID
	info, err := os.Stat(fmt.Sprintf("/proc/%d", gateway))
	must(t, err)
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 65198 {
		t.Errorf("the gateway runs as user %+v, want 65198", info.Sys())
	}
	must(t, first.cmd.Process.Kill())
	_ = first.wait()
	second := start(t, "supervisor", w)
	second.see(fmt.Sprintf("adopted, process %d", gateway))
	second.see("ALL READY")
	if got := status(t, w).Sockets["web"]; got != addr {
		t.Errorf("socket is at %s, want %s back", got, addr)
	}
	mustAsk(t, addr)
}
