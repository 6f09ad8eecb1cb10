package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"naru/internal/fault"
)

// deskTimeout bounds what a client of the desk may take to speak.
const deskTimeout = 5 * time.Second

func deskPath(runDir string) string { return filepath.Join(runDir, "supervise.sock") }

// wish and reply are what is said at the desk, one each per connection.
type wish struct {
	Renew string `json:"renew"` // name of a child
}

type reply struct {
	Renewal *Renewal `json:"renewal,omitempty"`
	Kind    string   `json:"kind,omitempty"` // of the fault, where there is no renewal
	Message string   `json:"message,omitempty"`
	Try     string   `json:"try,omitempty"`
}

// Renew asks the supervisor of a platform to put a new process in the place of
// a child's present one, and waits until that is done. It is a fault when none
// is running, or the new process does not become ready: the old one serves on.
func Renew(ctx context.Context, dataDir, runDir, child string) (Renewal, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", deskPath(runDir))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Renewal{}, fault.New(fault.Denied, "", "the platform of %s is another user's", dataDir).
			WithTry("run it as the user who runs naru up, with sudo for example").WithCause(err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return Renewal{}, fault.New(fault.Unavailable, "data_dir", "no naru up runs on %s", dataDir).
			WithTry("naru up --data-dir %s; name the folder of one that runs elsewhere with --data-dir; under systemd: systemctl restart naru-gateway", dataDir).WithCause(err)
	case err != nil:
		return Renewal{}, fmt.Errorf("speak to naru up: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // wakes what follows
	defer stop()
	var got reply
	err = json.NewEncoder(conn).Encode(wish{Renew: child})
	if err == nil {
		err = json.NewDecoder(conn).Decode(&got)
	}
	switch {
	case ctx.Err() != nil:
		return Renewal{}, ctx.Err()
	case err != nil:
		return Renewal{}, fault.New(fault.Unavailable, "", "naru up ended before it answered").
			WithTry("naru up --data-dir %s", dataDir).WithCause(err)
	case got.Renewal == nil:
		return Renewal{}, fault.New(fault.Kind(got.Kind), "", "%s", got.Message).WithTry("%s", got.Try)
	}
	return *got.Renewal, nil
}

// desk takes wishes from other programs of the supervisor's user.
type desk struct {
	ln    net.Listener
	serve func(context.Context, wish) (Renewal, error)
}

// openDesk makes the desk in the run folder; only its owner may connect.
func openDesk(runDir string, serve func(context.Context, wish) (Renewal, error)) (*desk, error) {
	path := deskPath(runDir)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace the supervisor's socket: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open the supervisor's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect the supervisor's socket: %w", err), ln.Close())
	}
	return &desk{ln, serve}, nil
}

// run answers until ctx ends.
func (d *desk) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = d.ln.Close() }) // wakes Accept
	defer stop()
	for {
		conn, err := d.ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept at the supervisor's socket: %w", err)
		}
		clients.Go(func() { d.answer(ctx, conn) })
	}
}

func (d *desk) answer(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetReadDeadline(time.Now().Add(deskTimeout))
	var w wish
	if json.NewDecoder(conn).Decode(&w) != nil {
		return // it left, or speaks something else
	}
	var said reply
	done, err := d.serve(ctx, w)
	if f := fault.Of(err); f != nil {
		said = reply{Kind: string(f.Kind), Message: f.Message, Try: f.Try}
		if f.Kind == fault.Internal {
			said.Message = err.Error() // who asks here is the operator
		}
	} else {
		said.Renewal = &done
	}
	_ = conn.SetWriteDeadline(time.Now().Add(deskTimeout))
	_ = json.NewEncoder(conn).Encode(said) // whoever has left need not know
}
