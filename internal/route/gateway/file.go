package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"naru/internal/atomicfile"
	"naru/internal/fault"
	"naru/internal/route"
)

// maxTableFile bounds the table file, like a message of the stream.
const maxTableFile = 64 << 20

// load reads the table file at the start. Standing alone there must be a good
// one; under a control plane a bad one is put aside and a new one will come.
func (g *Gateway) load(ctx context.Context) error {
	path := g.cfg.TableFile
	if path == "" {
		return nil
	}
	if g.cfg.Control == "" {
		g.fileSeen = stamp(path) // before reading, so that no change falls in between
		t, err := readTable(path)
		if err != nil {
			return err
		}
		return g.use(ctx, t)
	}
	g.loadTrips(ctx)
	t, err := readKept(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		g.putAside(ctx, path, err)
		return nil
	case t.Boot != "" && t.Boot != g.cfg.Boot:
		// Its addresses may belong to other apps by now.
		g.log.InfoContext(ctx, "kept table is of another boot", "version", t.Version)
		return nil
	}
	return g.use(ctx, t)
}

// manyRoutes is the size from which on a file leaves so much garbage that it is
// collected at once: the next collection may be far.
const manyRoutes = 1000

func (g *Gateway) use(ctx context.Context, t *route.Table) error {
	if err := g.Apply(t); err != nil {
		return err
	}
	if g.tables.view().waiting {
		g.log.WarnContext(ctx, "the table is of another boot of this machine, apps answer 503", "boot", t.Boot)
	}
	g.log.InfoContext(ctx, "table in use", "version", t.Version, "routes", len(t.Routes))
	if len(t.Routes) >= manyRoutes {
		debug.FreeOSMemory()
	}
	return nil
}

// readTable reads a table a person wrote.
func readTable(path string) (*route.Table, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "table", "cannot read the table file: %v", err).WithTry("naru gateway --table FILE (docs/gateway-table.md describes it)").WithCause(err)
	}
	return route.DecodeFile(path, data)
}

// readKept reads a table that keep wrote.
func readKept(path string) (*route.Table, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return route.Decode(data)
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxTableFile {
		return nil, fmt.Errorf("%s has %d bytes, over the limit of %d", path, info.Size(), maxTableFile)
	}
	return os.ReadFile(path)
}

// putAside keeps a broken table for whoever wants to know, out of the way.
func (g *Gateway) putAside(ctx context.Context, path string, why error) {
	aside := path + ".corrupt-" + time.Now().UTC().Format("20060102T150405Z")
	err := os.Rename(path, aside)
	g.log.WarnContext(ctx, "kept table is unreadable, apps answer 503 until a new one comes",
		"table", path, "moved_to", aside, "reason", why, "error", err)
}

// keep writes a table for the next start. A table that cannot be written must
// not leave an older one behind: its addresses may be somebody else's by then.
func (g *Gateway) keep(ctx context.Context, t *route.Table) {
	path := g.cfg.TableFile
	if path == "" {
		return
	}
	data, err := json.Marshal(t)
	if err == nil {
		err = atomicfile.Write(path, data, 0o600)
	}
	if err != nil {
		rerr := os.Remove(path)
		g.log.ErrorContext(ctx, "table not kept", "version", t.Version, "error", errors.Join(err, rerr))
	}
}

// watch reads the table file again when it changed or when asked to.
func (g *Gateway) watch(ctx context.Context) error {
	ticker := time.NewTicker(g.cfg.Poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.cfg.Reload:
		case <-ticker.C:
			if stamp(g.cfg.TableFile) == g.fileSeen {
				continue
			}
		}
		g.fileSeen = stamp(g.cfg.TableFile)
		t, err := readTable(g.cfg.TableFile)
		if err == nil {
			err = g.use(ctx, t)
		}
		if err != nil {
			g.log.ErrorContext(ctx, "new table refused, the old one stays in use", "table", g.cfg.TableFile, "error", err)
		}
	}
}

// fileStamp tells two states of a file apart. Two writes in one tick of the
// file system's clock look alike, so a young file counts as changed once more
// when it has settled.
type fileStamp struct {
	size     int64
	modified time.Time
	settled  bool
}

const settling = 2 * time.Second

func stamp(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.Size(), info.ModTime(), time.Since(info.ModTime()) > settling}
}
