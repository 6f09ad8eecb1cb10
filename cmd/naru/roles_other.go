//go:build !linux

package main

import (
	"github.com/spf13/cobra"

	"naru/internal/fault"
)

// roles of the server side exist on Linux only; here they say so.
func roles() []*cobra.Command {
	var out []*cobra.Command
	for _, name := range []string{"up", "down", "doctor", "server", "gateway", "restore"} {
		out = append(out, &cobra.Command{
			Use: name, Short: "Linux only", DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				return fault.New(fault.Unsupported, "", "naru %s is Linux only; this machine can be a client", name).
					WithTry("naru login http://HOST:PORT")
			},
		})
	}
	return out
}
