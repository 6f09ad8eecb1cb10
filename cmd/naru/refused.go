package main

import (
	"github.com/spf13/cobra"

	"naru/internal/fault"
)

// refused is a command of the server side on a machine that cannot be one.
func refused(name string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: "Linux only", DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return fault.New(fault.Unsupported, "", "naru %s is Linux only; this machine can be a client", name).
				WithTry("naru login http://HOST:PORT")
		},
	}
}
