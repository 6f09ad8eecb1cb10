package main

import (
	"encoding/json"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"naru/internal/backup"
	"naru/internal/doctor"
	"naru/internal/fault"
	"naru/internal/supervise"
)

func listeners(all ...net.Listener) []net.Listener { return all }

// showFindings prints what the doctor found; something that fails is an error.
func showFindings(cc *cobra.Command, findings []doctor.Finding) error {
	out := cc.OutOrStdout()
	if asJSON, err := cc.Flags().GetBool("json"); err == nil && asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(findings); err != nil {
			return err
		}
	} else if err := doctor.Render(out, findings); err != nil {
		return err
	}
	if failed := doctor.Failed(findings); len(failed) > 0 {
		return fault.New(fault.Failed, "", "%d of %d checks failed", len(failed), len(findings)).WithTry("%s", failed[0].Try)
	}
	return nil
}

func restore() *cobra.Command {
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup back into an empty data folder",
		Long: `Unpacks what naru backup wrote, checks all of it, and only then puts it into place. The platform must be down and the
data folder empty; start it afterwards with naru up. A backup without the key of secrets needs the key file: in its
place in the data folder, or named with --key-file. Interrupted, the same command goes on.`,
		Args: cobra.ExactArgs(1),
	}
	withoutKey := c.Flags().Bool("without-key", false, "go on without the key of secrets: they have to be set again")
	load := configured(c)
	c.RunE = func(cc *cobra.Command, args []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		if pid, _, err := supervise.Holder(cfg.DataDir); err == nil && pid != 0 {
			return fault.New(fault.Conflict, "data_dir", "naru up runs on %s (pid %d)", cfg.DataDir, pid).WithTry("naru down")
		}
		done, err := backup.Restore(cc.Context(), args[0], backup.Target{Dir: cfg.DataDir, KeyPath: cfg.KeyPath(), WithoutKey: *withoutKey})
		if err != nil {
			return err
		}
		out := cc.OutOrStdout()
		if done.Resumed {
			fmt.Fprintf(out, "brought an interrupted restore into %s to its end; start it with: naru up\n", cfg.DataDir)
			return nil
		}
		fmt.Fprintf(out, "restored %d files into %s; start it with: naru up\n", done.Files, cfg.DataDir)
		if !done.About.WithKey {
			fmt.Fprintln(out, "keys of tokens were not in the backup: everybody logs in again, and API tokens are made anew")
		}
		return nil
	}
	return c
}
