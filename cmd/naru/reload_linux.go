package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/supervise"
)

func gatewayReload() *cobra.Command {
	c := &cobra.Command{
		Use:   "reload",
		Short: "Put a new gateway process in the place of the running one",
		Long: `Asks the naru up of this machine to start a gateway on the same listening sockets. When the new one is ready the old one
takes no more connections, finishes the requests it has (gateway.drain_timeout, WebSockets five minutes) and ends. No
connection is refused. A new one that does not become ready leaves the old one serving. Of more than four old ones
the oldest is ended.`,
		Example: "  naru gateway reload\n  naru gateway reload --data-dir /srv/second",
		Args:    cobra.NoArgs,
	}
	load := configured(c)
	c.RunE = func(cc *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		done, err := supervise.Renew(cc.Context(), cfg.DataDir, cfg.RunDir, "gateway")
		if err != nil {
			return err
		}
		out := cc.OutOrStdout()
		if asJSON, err := cc.Flags().GetBool("json"); err == nil && asJSON {
			return json.NewEncoder(out).Encode(struct {
				Old    int     `json:"old_pid"`
				New    int     `json:"new_pid"`
				Says   string  `json:"says"`
				TookMS float64 `json:"took_ms"`
			}{done.Old, done.New, done.Text, float64(done.Took.Microseconds()) / 1000})
		}
		fmt.Fprintf(out, "gateway reloaded in %s: process %d is %s, process %d finishes what it has\n",
			done.Took.Round(time.Millisecond), done.New, done.Text, done.Old)
		return nil
	}
	return c
}
