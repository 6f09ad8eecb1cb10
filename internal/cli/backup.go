package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"naru/internal/fault"
	"naru/internal/size"
)

func (c *cmd) backup() *cobra.Command {
	var withKey bool
	command := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of the platform: store, registry, sources, configuration",
		Long: `Writes everything that cannot be made again into one file (- for standard output), while the platform runs.
The key that opens sealed secrets is left out unless asked for: keep it apart, a restore needs it.
Put it back with naru restore FILE on an empty data folder.`,
		Args: exactly("FILE"),
		RunE: func(cc *cobra.Command, args []string) (err error) {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			if args[0] == "-" {
				return cl.Backup(cc.Context(), c.world.Out, withKey)
			}
			f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if errors.Is(err, os.ErrExist) {
				return fault.New(fault.Conflict, "file", "%s exists already", args[0]).WithTry("name another file")
			}
			if err != nil {
				return fault.Wrap(fault.Invalid, "file", err)
			}
			n := &counted{w: f}
			if err := errors.Join(cl.Backup(cc.Context(), n, withKey), f.Sync(), f.Close()); err != nil {
				return errors.Join(err, os.Remove(args[0])) // half a backup is none
			}
			c.screen.say("wrote %s, %s", args[0], size.Text(n.bytes))
			return nil
		},
	}
	command.Flags().BoolVar(&withKey, "with-key", false, "put the key of secrets into the backup")
	return command
}

// counted counts what passes.
type counted struct {
	w     io.Writer
	bytes int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.bytes += int64(n)
	if err != nil {
		err = fmt.Errorf("write backup: %w", err)
	}
	return n, err
}
