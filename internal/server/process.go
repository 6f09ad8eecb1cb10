//go:build linux

package server

import (
	"log/slog"

	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/run"
)

func newProcessDriver(config.Config, *slog.Logger) (run.Driver, error) {
	return nil, fault.New(fault.Unsupported, "driver", "the process driver is not part of this build")
}
