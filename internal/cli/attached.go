package cli

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"

	"naru/internal/client"
)

// both reports that a person sits at both ends: input and output are terminals.
func (c *cmd) both() bool {
	_, in := c.person()
	return in && terminal(c.world.Out)
}

// attached connects this command's input and output to one that runs elsewhere,
// and ends with its exit code. With tty the terminal is raw meanwhile: every key,
// Ctrl-C too, belongs to the command.
func (c *cmd) attached(ctx context.Context, tty bool, attach func(context.Context, client.IO) (int, error)) error {
	std := client.IO{Stdin: c.world.In, Stdout: c.world.Out, Stderr: c.world.Err}
	if tty {
		restore, err := c.raw(ctx, &std)
		if err != nil {
			return err
		}
		defer restore()
	}
	code, err := attach(ctx, std)
	if err == nil && code != 0 {
		return exitCode(code)
	}
	return err
}

// raw hands the terminal over, and its size whenever that changes. What it
// returns takes the terminal back.
func (c *cmd) raw(ctx context.Context, std *client.IO) (restore func(), err error) {
	in, out := c.world.In.(*os.File), c.world.Out.(*os.File)
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("hand over the terminal: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	changed, unwatch := sizeChanges()
	sizes := make(chan client.Size, 1)
	go func() {
		for {
			if columns, rows, err := term.GetSize(int(out.Fd())); err == nil {
				select {
				case sizes <- client.Size{Columns: uint16(columns), Rows: uint16(rows)}:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	std.Resize = sizes
	return func() {
		stop()
		unwatch()
		_ = term.Restore(int(in.Fd()), before) // the terminal is gone
	}, nil
}
