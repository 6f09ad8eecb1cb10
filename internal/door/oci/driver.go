package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3/registry/auth"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// driver is distribution's filesystem driver, mended in three places. It syncs
// files and the folder of small ones, but neither the folder that a blob is moved
// into nor folders it makes, so an acknowledged image could be lost with the
// power: here all of them are synced. It has no limit. And it does not remember
// when a blob was last asked for, which garbage collection needs to know.
type driver struct {
	storagedriver.StorageDriver
	root     string
	maxLayer int64
}

func newDriver(root string, maxLayer int64) *driver {
	return &driver{filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: 100}), root, maxLayer}
}

// PutContent writes a small file, durably.
func (d *driver) PutContent(ctx context.Context, path string, content []byte) error {
	if err := d.StorageDriver.PutContent(ctx, path, content); err != nil {
		return explainDisk(ctx, err)
	}
	return d.syncUp(path)
}

// Move renames, durably.
func (d *driver) Move(ctx context.Context, from, to string) error {
	if err := d.StorageDriver.Move(ctx, from, to); err != nil {
		return explainDisk(ctx, err)
	}
	return d.syncUp(to)
}

// Delete removes a file or folder, durably.
func (d *driver) Delete(ctx context.Context, path string) error {
	if err := d.StorageDriver.Delete(ctx, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Join(d.root, path)))
}

// syncUp syncs the folders from a file up to the root, any of which may be new.
// Those that are not cost next to nothing.
func (d *driver) syncUp(path string) error {
	for dir := filepath.Dir(filepath.Join(d.root, path)); ; dir = filepath.Dir(dir) {
		if err := syncDir(dir); err != nil {
			return fmt.Errorf("sync %s: %w", dir, err)
		}
		if dir == d.root || len(dir) <= len(d.root) {
			return nil
		}
	}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// lookedAt is how fresh the memory of a look at a blob is kept.
const lookedAt = 10 * time.Minute

// Stat describes a file. A client that asked whether a blob is there may build
// on the answer, so the blob counts as new.
func (d *driver) Stat(ctx context.Context, path string) (storagedriver.FileInfo, error) {
	info, err := d.StorageDriver.Stat(ctx, path)
	if err != nil || info.IsDir() || !strings.Contains(path, "/blobs/") {
		return info, err
	}
	if now := time.Now(); now.Sub(info.ModTime()) > lookedAt {
		_ = os.Chtimes(filepath.Join(d.root, path), now, now) // gone meanwhile: the answer was true when asked
	}
	return info, nil
}

// Writer opens an upload, which ends at the limit.
func (d *driver) Writer(ctx context.Context, path string, appending bool) (storagedriver.FileWriter, error) {
	w, err := d.StorageDriver.Writer(ctx, path, appending)
	if err != nil {
		return nil, explainDisk(ctx, err)
	}
	return &limited{FileWriter: w, ctx: ctx, max: d.maxLayer}, nil
}

type limited struct {
	storagedriver.FileWriter
	ctx context.Context //nolint:containedctx // the interface has no other way to the request
	max int64
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Size()+int64(len(p)) > l.max {
		if x, ok := l.ctx.Value(exchangeKey{}).(*exchange); ok {
			x.instead = func() {
				x.refuse(http.StatusRequestEntityTooLarge, "SIZE_INVALID", "the layer is over this registry's limit of %d MiB; registry.max_layer_bytes raises it", l.max>>20)
			}
		}
		return 0, errors.New("layer over the limit")
	}
	n, err := l.FileWriter.Write(p)
	return n, explainDisk(l.ctx, err)
}

func (l *limited) Commit(ctx context.Context) error {
	return explainDisk(ctx, l.FileWriter.Commit(ctx))
}

// explainDisk has a full disk told to the client as that.
func explainDisk(ctx context.Context, err error) error {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if ok && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
		x.instead = func() {
			x.refuse(http.StatusInsufficientStorage, "UNKNOWN", "the registry's disk is full; ask the operator to free space")
		}
	}
	return err
}

// pluggedName is what naru's driver and access controller are called in
// distribution's tables.
const pluggedName = "naru"

// plugIn makes naru's parts known to distribution, which takes them by name from
// process-wide tables only. What is entered holds no state: it returns the part
// that the configuration carries.
var plugIn = sync.OnceFunc(func() {
	factory.Register(pluggedName, handedIn{})
	if err := auth.Register(pluggedName, func(options map[string]any) (auth.AccessController, error) {
		c, ok := options["controller"].(auth.AccessController)
		if !ok {
			return nil, errors.New("no access controller was handed in")
		}
		return c, nil
	}); err != nil {
		panic(err) // the name is ours, and this runs once
	}
})

type handedIn struct{}

func (handedIn) Create(_ context.Context, parameters map[string]any) (storagedriver.StorageDriver, error) {
	d, ok := parameters["driver"].(*driver)
	if !ok {
		return nil, errors.New("no storage driver was handed in")
	}
	return d, nil
}
