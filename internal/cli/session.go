package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"naru/internal/atomicfile"
	"naru/internal/client"
)

// fileSession keeps the tokens of one server in a file of mode 0600. A lock
// beside it keeps two commands from using up one refresh token.
type fileSession struct {
	getenv func(string) string
	server string
}

func newFileSession(getenv func(string) string, server string) *fileSession {
	return &fileSession{getenv, server}
}

// path is the file; its name is a hash, for a server's address may hold what a
// file name cannot.
func (s *fileSession) path() (string, error) {
	dir, err := home(s.getenv)
	sum := sha256.Sum256([]byte(s.server))
	return filepath.Join(dir, "login-"+hex.EncodeToString(sum[:6])+".json"), err
}

// Load returns the tokens as kept.
func (s *fileSession) Load(context.Context) (client.Tokens, error) {
	var t client.Tokens
	path, err := s.path()
	if err != nil {
		return t, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	return t, err
}

// Update changes the tokens, one process at a time.
func (s *fileSession) Update(ctx context.Context, change func(client.Tokens) (client.Tokens, error)) (client.Tokens, error) {
	path, err := s.path()
	if err != nil {
		return client.Tokens{}, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return client.Tokens{}, fmt.Errorf("keep login: %w", err)
	}
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return client.Tokens{}, fmt.Errorf("keep login: %w", err)
	}
	defer unlock()
	now, err := s.Load(ctx)
	if err != nil {
		return now, err
	}
	next, err := change(now)
	if err != nil {
		return now, err
	}
	text, err := json.Marshal(next)
	if err != nil {
		return now, err
	}
	return next, atomicfile.Write(path, text, 0o600)
}

// forget removes the tokens.
func (s *fileSession) forget() error {
	path, err := s.path()
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget login: %w", err)
	}
	return nil
}
