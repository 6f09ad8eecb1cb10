// Package run keeps instances of releases running: what they are, which changes
// bring them to what is wanted, whether they are healthy. How an instance is
// started is a Driver's business, one folder down for each technology.
package run

import (
	"context"
	"net"
	"net/netip"
	"time"

	"naru/internal/artifact"
)

// GroupID identifies a server group.
type GroupID string

// InstanceID identifies one attempt to run one instance. Every start has a new
// one, so that what a broken attempt left behind is never in the way.
type InstanceID string

// Driver runs instances on one machine. All methods may be called at the same
// time from many goroutines; a driver that was closed or whose process died finds
// everything again from what is on the machine. Package runtest holds the suite
// that every driver passes.
type Driver interface {
	// Name is what people select the driver by: containerd, process.
	Name() string

	// Notice says, in one sentence for people, what this driver does not do;
	// "" where it does all that is promised.
	Notice() string

	Lifecycle
	Observer
	Executor
	Images
	Cleaner
}

// Lifecycle starts and ends instances.
type Lifecycle interface {
	// Start runs an instance and returns when its process runs and its address
	// is known, whether it is healthy or not. The image is pulled when it is
	// missing. Starting an id that runs, or that has ended and was not removed,
	// returns its status and starts nothing. When Start fails nothing of the
	// instance is left. Errors that a user can mend are faults: Denied (the image
	// wants root), Failed (no such command in the image), NotFound (no such image).
	Start(ctx context.Context, spec Spec) (Status, error)

	// Stop sends the image's stop signal (TERM unless it names one), waits for the
	// grace, then kills. When it returns, the process and all its children are
	// gone. Stopping what has ended or was never known is no error.
	Stop(ctx context.Context, id InstanceID, grace time.Duration) error

	// Remove makes everything of an instance go away, its address included, and
	// kills what still runs. What it wrote to the log spool stays until it is
	// read. Removing twice, or what was never known, is no error.
	Remove(ctx context.Context, id InstanceID) error

	// Wait returns how an instance ended, as soon as it has; at once for one that
	// has ended already. An unknown id is a NotFound.
	Wait(ctx context.Context, id InstanceID) (Exit, error)
}

// Observer tells what runs.
type Observer interface {
	// List returns every instance that was started and not removed, also those
	// of an earlier process of ours, ordered by id.
	List(ctx context.Context) ([]Status, error)

	// Watch calls ended for every instance that ends while it watches, and
	// enforces the limits that the kernel does not (disk). It blocks until ctx
	// ends and then returns nil. What ended while nobody watched is found by List.
	Watch(ctx context.Context, ended func(Status)) error

	// Usage returns what an instance uses now.
	Usage(ctx context.Context, id InstanceID) (Usage, error)

	// Load is Usage without the disk: cheap enough to be asked of every instance
	// every few seconds.
	Load(ctx context.Context, id InstanceID) (Usage, error)

	// Listening returns the TCP addresses an instance listens on, sorted.
	Listening(ctx context.Context, id InstanceID) ([]netip.AddrPort, error)
}

// Executor runs further commands inside an instance.
type Executor interface {
	// Exec runs a command inside a running instance and returns its exit code
	// when it has ended and all its output was delivered. An end of ctx kills it.
	Exec(ctx context.Context, id InstanceID, x ExecSpec) (code int, err error)

	// Dial connects to HOST:PORT from inside an instance, over TCP, with the
	// instance's own network and rules; it is Unsupported where instances have no
	// network of their own.
	Dial(ctx context.Context, id InstanceID, addr string) (net.Conn, error)
}

// Images keeps images on the machine.
type Images interface {
	// Pull fetches an image, so that a later Start need not.
	Pull(ctx context.Context, img Image) error

	// Images returns the images present, sorted by reference.
	Images(ctx context.Context) ([]LocalImage, error)

	// RemoveImage frees an image. One that an instance uses is a Conflict; one
	// that is not present is no error.
	RemoveImage(ctx context.Context, ref artifact.Ref) error
}

// Cleaner removes what crashes left behind.
type Cleaner interface {
	// Sweep removes every instance that keep does not want and whatever a start
	// left half done (address leases, network namespaces, snapshots, rules). It
	// runs at start-up, before anything is started.
	Sweep(ctx context.Context, keep func(InstanceID) bool) (removed []InstanceID, err error)

	// Teardown removes all instances and all that the driver made on the machine
	// outside the data directory (bridges, rules, namespaces, mounts, cgroups).
	Teardown(ctx context.Context) error
}

// LocalImage is an image present on the machine.
type LocalImage struct {
	Ref   artifact.Ref
	Bytes int64 // as stored, without what is unpacked
	Since time.Time
}

// Usage is what an instance uses.
type Usage struct {
	MemoryBytes int64         // what the memory limit counts, without the file cache that can be dropped
	DiskBytes   int64         // written by the instance
	CPU         time.Duration // used since its start
	PIDs        int           // processes and threads
	Received    int64         // bytes over its network; 0 where the driver does not isolate it
	Sent        int64
}
