//go:build !linux

package supervise

import (
	"context"

	"naru/internal/fault"
)

func linuxOnly() error {
	return fault.New(fault.Unsupported, "", "running a platform is Linux only").
		WithTry("naru login URL, to use one that runs elsewhere")
}

// Up is Linux only.
func Up(context.Context, Spec) error { return linuxOnly() }

// Down is Linux only.
func Down(context.Context, Spec) error { return linuxOnly() }

// Renew is Linux only.
func Renew(context.Context, string, string, string) (Renewal, error) { return Renewal{}, linuxOnly() }

// ReadStatus is Linux only.
func ReadStatus(string) (Status, bool, error) { return Status{}, false, linuxOnly() }

// Holder is Linux only.
func Holder(string) (pid int, stale bool, err error) { return 0, false, linuxOnly() }

// Signals only passes the context on.
func Signals(parent context.Context) (ctx context.Context, hurry, letGo <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	return ctx, nil, nil, cancel
}
