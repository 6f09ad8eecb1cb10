//go:build unix

// Package process is a run.Driver that starts instances as plain processes of
// the machine, with the machine's own toolchains: for laptops, tests and
// machines without root. It isolates nothing.
//
// Of an image it uses /app and /home. Each instance gets a tree of links to the
// image's files, so that what it makes and removes is its own; a file that is
// changed in place is changed for all instances of the image. /app and /home in
// the command and in the image's environment are rewritten to that tree.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/run"
	"naru/internal/run/process/ward"
	"naru/internal/run/spool"
)

// Config says where things are.
type Config struct {
	Dir        string        // of instances and unpacked images; this driver's alone
	SpoolDir   string        // output of instances
	LogBinary  string        // path of naru-log
	InitBinary string        // path of naru-init
	DiskEvery  time.Duration // between two measurements of what instances wrote; 0: 10 s
}

// Driver runs instances. It keeps nothing that it could not find again.
type Driver struct {
	cfg Config
	log *slog.Logger

	mu       sync.Mutex                         // guards what follows
	busy     map[string]chan struct{}           // an instance or image somebody works on
	attached map[run.InstanceID]<-chan struct{} // closed when a task's output was handed on
	ports    map[netip.AddrPort]run.InstanceID  // given out by this process
}

var _ run.Driver = (*Driver)(nil)

// poll is the wait between two looks at an instance's folder.
const poll = 10 * time.Millisecond

// New makes a driver; nothing is started.
func New(cfg Config, log *slog.Logger) (*Driver, error) {
	if cfg.DiskEvery <= 0 {
		cfg.DiskEvery = 10 * time.Second
	}
	d := &Driver{
		cfg: cfg, log: log, busy: map[string]chan struct{}{},
		attached: map[run.InstanceID]<-chan struct{}{}, ports: map[netip.AddrPort]run.InstanceID{},
	}
	for _, dir := range []string{d.instances(), d.images(), cfg.SpoolDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make folders of the process driver: %w", err)
		}
	}
	return d, nil
}

// Name is what people select the driver by.
func (d *Driver) Name() string { return "process" }

// Notice says what people must know before they use it.
func (d *Driver) Notice() string {
	return "instances are plain processes of this machine: nothing isolates them from it or from each other, and memory, CPU and process limits are not enforced"
}

func (d *Driver) instances() string              { return filepath.Join(d.cfg.Dir, "instances") }
func (d *Driver) images() string                 { return filepath.Join(d.cfg.Dir, "images") }
func (d *Driver) dir(id run.InstanceID) string   { return filepath.Join(d.instances(), string(id)) }
func (d *Driver) spool(id run.InstanceID) string { return filepath.Join(d.cfg.SpoolDir, string(id)) }
func (d *Driver) image(ref artifact.Ref) string {
	return filepath.Join(d.images(), ref.Digest[len("sha256:"):])
}

// record is what is known of an instance for good, in its folder.
type record struct {
	Status  run.Status   `json:"status"` // as started, without what changes
	Image   artifact.Ref `json:"image"`
	Memory  int          `json:"memory_mib"`
	DiskMiB int          `json:"disk_mib"`
}

func (d *Driver) writeRecord(r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir(r.Status.ID), "record"), text, 0o600)
}

func (d *Driver) readRecord(id run.InstanceID) (r record, err error) {
	text, err := os.ReadFile(filepath.Join(d.dir(id), "record"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// lock waits until nobody else works on the key.
func (d *Driver) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		d.mu.Lock()
		wait, taken := d.busy[key]
		if !taken {
			mine := make(chan struct{})
			d.busy[key] = mine
			d.mu.Unlock()
			return func() {
				d.mu.Lock()
				delete(d.busy, key)
				d.mu.Unlock()
				close(mine)
			}, nil
		}
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-wait:
		}
	}
}

// known returns an instance whose command was started; NotFound for others.
func (d *Driver) known(id run.InstanceID) (record, ward.State, error) {
	unknown := fault.New(fault.NotFound, "instance", "instance %s is not known", id)
	r, err := d.readRecord(id)
	if errors.Is(err, fs.ErrNotExist) {
		return r, ward.State{}, unknown
	}
	if err != nil {
		return r, ward.State{}, fmt.Errorf("read instance %s: %w", id, err)
	}
	state, ok, err := ward.ReadState(d.dir(id))
	if err == nil && !ok {
		err = unknown
	}
	return r, state, err
}

// status says how an instance is now.
func (d *Driver) status(id run.InstanceID) (run.Status, error) {
	r, state, err := d.known(id)
	if err != nil {
		return run.Status{}, err
	}
	st := r.Status
	st.Phase, st.PID, st.Started = run.Running, state.PID, state.Started
	alive := ward.Alive(d.dir(id)) // before the exit is read: it is written while it lives
	exit, ended, err := ward.ReadExit(d.dir(id))
	if err != nil {
		return st, err
	}
	if alive && !ended {
		return st, nil
	}
	if !ended {
		exit = ward.Exit{Code: -1, At: time.Now().UTC()}
	}
	st.Phase, st.PID = run.Exited, 0
	x := run.Exit{Code: exit.Code, Signal: exit.Signal, At: exit.At, Reason: run.Reason(exit.Code, exit.Signal, false, 0)}
	if why, err := os.ReadFile(filepath.Join(d.dir(id), "reason")); err == nil {
		x.Reason = string(why)
	}
	if lines, _, err := spool.Tail(d.spool(id), run.LastLines); err == nil {
		x.LastLines = lines
	}
	st.Exit = &x
	return st, nil
}
