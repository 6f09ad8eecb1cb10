package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"naru/internal/fault"
)

// Lock is held by the one process that supervises a data folder. The kernel
// gives it back when that process dies, however it dies.
type Lock struct{ file *os.File }

func lockPath(dataDir string) string { return filepath.Join(dataDir, "lock") }

// Acquire locks a data folder, or says which process has it.
func Acquire(dataDir string) (*Lock, error) {
	f, err := os.OpenFile(lockPath(dataDir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	// A lock of the open file, not of the process: closing another descriptor of
	// the same file, as any library may, would drop the latter.
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &whole); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		return nil, fault.New(fault.Conflict, "data_dir", "%s is in use by naru up, process %s", dataDir, holderText(f)).
			WithTry("use that one, stop it with Ctrl-C or kill, or give this one --data-dir")
	}
	me, err := identify(os.Getpid())
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	text, err := json.Marshal(me)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(text, '\n'), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write the lock file: %w", err)
	}
	return &Lock{file: f}, nil
}

// Release gives the lock back. The file stays: removing it would let two
// processes lock two files of the same name.
func (l *Lock) Release() error {
	err := l.file.Truncate(0)
	return errors.Join(err, l.file.Close())
}

// Holder returns the pid of the process that supervises the folder, 0 if none.
// stale reports a lock file that names a process which no longer exists: its
// supervisor was killed, and the next one adopts what it left.
func Holder(dataDir string) (pid int, stale bool, err error) {
	f, err := os.Open(lockPath(dataDir))
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("open the lock file: %w", err)
	}
	defer f.Close()
	query := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &query); err != nil {
		return 0, false, fmt.Errorf("ask for the lock of %s: %w", f.Name(), err)
	}
	id, ok := readHolder(f)
	if query.Type != unix.F_UNLCK {
		return id.PID, false, nil
	}
	return 0, ok, nil
}

func readHolder(f *os.File) (identity, bool) {
	var id identity
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<10))
	return id, err == nil && json.Unmarshal(text, &id) == nil && id.PID > 0
}

func holderText(f *os.File) string {
	id, ok := readHolder(f)
	if !ok {
		return "unknown (it has just started)"
	}
	return fmt.Sprint(id.PID)
}
