package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"naru/internal/fault"
)

// releaseTimeout is how long a supervisor may take to let go of its children.
const releaseTimeout = 15 * time.Second

// Down removes everything that a platform started: it takes the children over
// from their supervisor, if one is running, and stops them as Up does with
// Remove. A platform that is not running has nothing to remove but what a crash
// may have left, so Down on it is no error.
func Down(ctx context.Context, spec Spec) error {
	if _, err := os.Stat(spec.DataDir); errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.NotFound, "data_dir", "%s is not the data folder of a platform", spec.DataDir).
			WithTry("name the one that naru up used with --data-dir")
	}
	if err := takeOver(ctx, spec.DataDir); err != nil {
		return err
	}
	if err := makeFolders(spec); err != nil {
		return err
	}
	lock, err := Acquire(spec.DataDir)
	if err != nil {
		return err
	}
	spec.Remove = true
	hurry, stopHurry := until(spec.Hurry)
	defer stopHurry()
	s := newSupervisor(spec, hurry)
	sockets, err := s.adopt(ctx)
	if err != nil {
		return errors.Join(err, lock.Release())
	}
	held(sockets).close()
	return errors.Join(s.stop(context.WithoutCancel(ctx)), lock.Release())
}

// takeOver asks the supervisor of a folder to let go, and waits until it has.
func takeOver(ctx context.Context, dataDir string) error {
	f, err := os.Open(lockPath(dataDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil // systemd plays the supervisor
	}
	if err != nil {
		return fmt.Errorf("open the lock file: %w", err)
	}
	defer f.Close()
	pid, _, err := Holder(dataDir)
	if err != nil || pid == 0 {
		return err
	}
	id, _ := readHolder(f)
	proc, err := id.open()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer proc.close()
	if err := proc.signal(syscall.SIGUSR1); err != nil {
		return fmt.Errorf("ask process %d to let go: %w", id.PID, err)
	}
	limited, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	if err := proc.gone(limited); err != nil {
		return fault.New(fault.Conflict, "", "naru up, process %d, does not let go of %s", id.PID, filepath.Clean(dataDir)).
			WithTry("kill %d and run naru down again", id.PID).WithCause(err)
	}
	return nil
}
