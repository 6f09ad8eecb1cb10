package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"naru/internal/auth"
	"naru/internal/config"
	"naru/internal/run"
	"naru/internal/serve"
	"naru/internal/store"
)

// loginDoor is the one door without a password: a socket that only the user who
// runs naru can open. naru up asks it for the login line, and to take all
// instances away.
type loginDoor struct {
	auth   *auth.Service
	store  *store.Store
	driver run.Driver
	crew   *serve.Crew // starts instances
}

// LoginSocket is where the door is.
func LoginSocket(c config.Config) string { return filepath.Join(c.RunDir, "login.sock") }

func listenLogin(c config.Config) (net.Listener, error) {
	path := LoginSocket(c)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// Bound in a folder of ours and moved when its mode is right.
	dir, err := os.MkdirTemp(c.RunDir, ".l")
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	defer os.RemoveAll(dir)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(filepath.Join(dir, "s"), 0o600), os.Rename(filepath.Join(dir, "s"), path)); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), ln.Close())
	}
	return ln, nil
}

func (d *loginDoor) serve(ln net.Listener) func(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login-code", d.code)
	mux.HandleFunc("POST /teardown", d.teardown)
	return web(ln, mux, time.Minute)
}

// LoginCode is the answer to naru up.
type LoginCode struct {
	Code string `json:"code"` // good for one login, for a few minutes
}

func (d *loginDoor) code(w http.ResponseWriter, r *http.Request) {
	admin, err := d.store.UserNamed(r.Context(), "admin", auth.Origin)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	code, err := d.auth.NewLoginCode(r.Context(), admin.ID)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(LoginCode{code.Reveal()}) // whoever asked left, or has it
}

func (d *loginDoor) teardown(w http.ResponseWriter, r *http.Request) {
	err := d.crew.Halt(r.Context())
	if err == nil {
		err = d.driver.Teardown(r.Context())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// Ask speaks to the login door of a platform on this machine.
func Ask(ctx context.Context, c config.Config, path string, answer any) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", LoginSocket(c))
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://login"+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 4096)) // its status is told in any case
		return fmt.Errorf("%s: the server answered %s: %s", path, res.Status, strings.TrimSpace(string(why)))
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(answer)
}
