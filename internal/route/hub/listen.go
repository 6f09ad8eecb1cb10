package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// Listen opens the unix socket for gateways at path with mode 0600, in place of
// one that a dead control plane left. uid, where above 0, becomes its owner, so
// that a gateway running as that user may connect.
func Listen(path string, uid int) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// Made under another name in a folder of our own, so that nobody can connect
	// before the mode is right.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false)
	if err := place(ln.Addr().String(), path, uid); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), ln.Close())
	}
	return ln, nil
}

func place(from, to string, uid int) error {
	if err := os.Chmod(from, 0o600); err != nil {
		return err
	}
	if uid > 0 && uid != os.Getuid() {
		if err := os.Chown(from, uid, -1); err != nil {
			return err
		}
	}
	return os.Rename(from, to)
}
