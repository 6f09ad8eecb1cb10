//go:build linux

package server

import (
	"log/slog"
	"path/filepath"

	"naru/internal/config"
	"naru/internal/run"
	"naru/internal/run/process"
)

// newProcessDriver runs instances as plain processes, where the machine has no
// containers to offer.
func newProcessDriver(c config.Config, log *slog.Logger) (run.Driver, error) {
	return process.New(process.Config{
		Dir: filepath.Join(c.DataDir, "process"), SpoolDir: c.SpoolDir(), LogBinary: beside("naru-log"), InitBinary: beside("naru-init"),
	}, log)
}
