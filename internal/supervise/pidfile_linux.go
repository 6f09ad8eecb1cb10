package supervise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"naru/internal/atomicfile"
)

// record is a pid file: RUN/pids/NAME.PID.json.
type record struct {
	identity
	Child string `json:"child"`
	Print string `json:"print"` // fingerprint of what was started
	Ready bool   `json:"ready"` // it has said so
	// Leaving marks a process that was replaced and told to stop: it finishes
	// its requests and is not wanted back.
	Leaving bool `json:"leaving,omitempty"`
}

// pids is the folder of pid files.
type pids string

func (d pids) path(r record) string {
	return filepath.Join(string(d), r.Child+"."+strconv.Itoa(r.PID)+".json")
}

func (d pids) write(r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return atomicfile.Write(d.path(r), text, 0o600)
}

func (d pids) remove(r record) error {
	err := os.Remove(d.path(r))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// living reads all records whose process is still the same one and removes the
// others.
func (d pids) living() ([]record, error) {
	names, err := filepath.Glob(filepath.Join(string(d), "*.json"))
	if err != nil {
		return nil, err
	}
	var found []record
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read pid file: %w", err)
		}
		var r record
		if json.Unmarshal(text, &r) == nil && r.alive() {
			found = append(found, r)
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove stale pid file: %w", err)
		}
	}
	return found, nil
}

// markVariable stands in the environment of every child, so that one whose
// supervisor died between starting it and writing its pid file is found.
const markVariable = "NARU_CHILD"

func mark(spec Spec, c Child) string { return markVariable + "=" + spec.Name + "/" + c.Name }

// strays finds processes that were started as the child but have no record. A
// child's own descendants carry the mark too; they run other commands.
func strays(spec Spec, c Child, known []record) ([]record, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	cmdline := []byte(strings.Join(c.Argv, "\x00") + "\x00")
	var found []record
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || slices.ContainsFunc(known, func(r record) bool { return r.PID == pid }) {
			continue
		}
		// Processes come and go while we look: whatever cannot be read is not ours.
		args, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err != nil || !bytes.Equal(args, cmdline) {
			continue
		}
		environ, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err != nil || !bytes.Contains(environ, []byte(mark(spec, c)+"\x00")) {
			continue
		}
		if id, err := identify(pid); err == nil {
			found = append(found, record{identity: id, Child: c.Name})
		}
	}
	return found, nil
}
