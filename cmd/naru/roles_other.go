//go:build !linux

package main

import "github.com/spf13/cobra"

// roles of the server side exist on Linux only; here they say so.
func roles() []*cobra.Command {
	var out []*cobra.Command
	for _, name := range []string{"up", "down", "doctor", "server", "gateway", "ca", "restore"} {
		out = append(out, refused(name))
	}
	return out
}
