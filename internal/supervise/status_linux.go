package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"naru/internal/atomicfile"
)

func statusPath(runDir string) string { return filepath.Join(runDir, "status.json") }

// ReadStatus returns what the supervisor of a run folder knew last, and false
// where there never was one.
func ReadStatus(runDir string) (Status, bool, error) {
	text, err := os.ReadFile(statusPath(runDir))
	if errors.Is(err, os.ErrNotExist) {
		return Status{}, false, nil
	}
	if err != nil {
		return Status{}, false, fmt.Errorf("read status: %w", err)
	}
	var st Status
	if err := json.Unmarshal(text, &st); err != nil {
		return Status{}, false, fmt.Errorf("read status: %w", err)
	}
	return st, true, nil
}

// change writes the status; it is called after every change of it, and before
// anybody is told.
func (s *supervisor) change() {
	if err := s.writeStatus(); err != nil {
		s.spec.Log.Error("status not written", "err", err)
	}
}

func (s *supervisor) writeStatus() error {
	s.writing.Lock() // the newest is written last
	defer s.writing.Unlock()
	st := Status{PID: os.Getpid(), Sockets: s.held.addresses()}
	for _, r := range s.runners {
		r.mu.Lock()
		st.Children = append(st.Children, r.status)
		r.mu.Unlock()
	}
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(statusPath(s.spec.RunDir), text, 0o600)
}

func (r *runner) setState(state State) {
	r.mu.Lock()
	r.status.State, r.status.Since = state, time.Now()
	if state == Stopped {
		r.status.PID, r.proc = 0, nil
	}
	r.mu.Unlock()
}
