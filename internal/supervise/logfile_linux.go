package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// openLog opens a child's log for appending and turns it over first when it
// has reached its bound.
func openLog(path string, limit int64) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && limit > 0 && info.Size() >= limit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("turn over log: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

// boundLogs turns over the logs of running children. They hold their file open
// and append, so what they wrote is copied away and the file cut to nothing;
// lines written between the two are lost, which is said in the file.
func boundLogs(ctx context.Context, every time.Duration, limit int64, paths []string, log *slog.Logger) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, path := range paths {
			if err := turnOver(path, limit); err != nil {
				log.ErrorContext(ctx, "log not turned over", "path", path, "err", err)
			}
		}
	}
}

func turnOver(path string, limit int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("turn over log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() < limit {
		return err
	}
	old, err := os.OpenFile(path+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("turn over log: %w", err)
	}
	// The newest part, and no more than the bound: a child may have written far
	// more since the last look.
	if _, err := f.Seek(max(0, info.Size()-limit), io.SeekStart); err != nil {
		_ = old.Close()
		return fmt.Errorf("turn over log: %w", err)
	}
	if _, err := io.CopyN(old, f, limit); err != nil && !errors.Is(err, io.EOF) {
		_ = old.Close()
		return fmt.Errorf("turn over log: %w", err)
	}
	if err := old.Close(); err != nil {
		return fmt.Errorf("turn over log: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("turn over log: %w", err)
	}
	_, err = fmt.Fprintf(f, "--- continued from %s; a line at the turn may be missing\n", filepath.Base(path)+".1")
	return err
}

// lastLines returns the end of a log from offset on, at most n lines and 4 KiB.
func lastLines(path string, offset int64, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	if info.Size() < offset {
		offset = 0 // it was turned over
	}
	offset = max(offset, info.Size()-4<<10)
	text, err := io.ReadAll(io.NewSectionReader(f, offset, info.Size()-offset))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
