package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"naru/internal/app"
	"naru/internal/atomicfile"
	"naru/internal/fault"
)

// Target is where commands go unless flags say otherwise.
type Target struct {
	Server string `json:"server,omitempty"`
	Org    string `json:"org"`
	Space  string `json:"space"`
}

// home is the folder of what the command line keeps: $NARU_HOME, else naru in
// the user's configuration folder.
func home(getenv func(string) string) (string, error) {
	if dir := getenv("NARU_HOME"); dir != "" {
		return dir, nil
	}
	dir := getenv("XDG_CONFIG_HOME")
	if dir == "" {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", fault.New(fault.Invalid, "", "no folder to keep the login in: %s", err).WithTry("set NARU_HOME to a folder of yours")
		}
	}
	return filepath.Join(dir, "naru"), nil
}

func targetFile(getenv func(string) string) (string, error) {
	dir, err := home(getenv)
	return filepath.Join(dir, "target.json"), err
}

// loadTarget reads the target; a missing file is the default one.
func loadTarget(getenv func(string) string) (Target, error) {
	t := Target{Org: app.DefaultOrg, Space: app.DefaultSpace}
	path, err := targetFile(getenv)
	if err != nil {
		return t, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil {
		return t, fault.New(fault.Invalid, path, "cannot be read: %s", err).WithTry("remove it and log in again: naru login")
	}
	return t, nil
}

// saveTarget keeps the target.
func saveTarget(getenv func(string) string, t Target) error {
	path, err := targetFile(getenv)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep target: %w", err)
	}
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(text, '\n'), 0o600)
}
