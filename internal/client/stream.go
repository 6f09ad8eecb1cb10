package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"naru/internal/fault"
)

// maxLine bounds one line of a stream, in bytes.
const maxLine = 1 << 20

// silence is how long a stream may say nothing. The server says every few
// seconds that it is alive, so longer means that the connection is dead.
const silence = 30 * time.Second

// errBroken says that a stream ended before its end.
var errBroken = fault.New(fault.Unavailable, "", "the connection to the server broke").
	WithTry("try again")

// follow reads a stream of JSON lines and hands each to got until got returns
// false, the stream is over, or the connection stayed broken for the client's
// patience; after a line has arrived the patience is whole again. query is asked
// before every connection; over says whether an end of the stream is its real
// end.
func follow[T any](ctx context.Context, c *Client, path string, query func() url.Values, got func(T) (bool, error), over func() bool) error {
	for attempt, broken := 0, (time.Time{}); ; {
		lines, done, err := followOnce(ctx, c, path, query(), got)
		switch {
		case done || ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case err == nil && over():
			return nil
		case err == nil:
			err = errBroken
		case !passing(err):
			return err
		}
		if lines > 0 || broken.IsZero() {
			attempt, broken = 0, time.Now()
		}
		wait := c.delay(attempt)
		if time.Since(broken)+wait > c.patient {
			return err
		}
		c.waiting(err, wait)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		attempt++
	}
}

// followOnce reads a stream until it ends or breaks. done means that got wants
// no more.
func followOnce[T any](ctx context.Context, c *Client, path string, query url.Values, got func(T) (bool, error)) (lines int, done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res, err := c.send(ctx, call{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = res.Body.Close() }() // cut off where got wants no more
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	scan := bufio.NewScanner(res.Body)
	scan.Buffer(nil, maxLine)
	for scan.Scan() {
		watchdog.Reset(silence)
		line := bytes.TrimSpace(scan.Bytes())
		if len(line) == 0 {
			continue
		}
		var p Problem
		if bytes.HasPrefix(line, []byte(`{"type":`)) && json.Unmarshal(line, &p) == nil && p.Kind != "" {
			return lines, false, p.Fault() // the server met an error after it had begun to answer
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return lines, true, fmt.Errorf("read a line of %s: %w", path, err)
		}
		lines++
		if more, err := got(v); !more || err != nil {
			return lines, true, err
		}
	}
	if err := scan.Err(); err != nil && !errors.Is(err, io.EOF) {
		if errors.Is(err, bufio.ErrTooLong) {
			return lines, true, fmt.Errorf("read %s: %w", path, err)
		}
		return lines, false, errBroken.WithCause(err)
	}
	return lines, false, nil
}

// sleep waits, or returns the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
