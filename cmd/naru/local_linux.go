package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"naru/internal/config"
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
		Long:  "Unpacks what naru backup wrote. The platform must be down and the data folder empty; start it afterwards with naru up.\nA backup without the key of secrets needs the key file beside it: --key-file.",
		Args:  cobra.ExactArgs(1),
	}
	load := configured(c)
	c.RunE = func(cc *cobra.Command, args []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		if err := mayRestore(cfg); err != nil {
			return err
		}
		n, err := unpackBackup(args[0], cfg.DataDir)
		if err != nil {
			return err
		}
		fmt.Fprintf(cc.OutOrStdout(), "restored %d files into %s; start it with: naru up\n", n, cfg.DataDir)
		return nil
	}
	return c
}

// mayRestore refuses to touch a platform that runs, or data that is there.
func mayRestore(cfg config.Config) error {
	if pid, _, err := supervise.Holder(cfg.DataDir); err == nil && pid != 0 {
		return fault.New(fault.Conflict, "data_dir", "naru up runs on %s (pid %d)", cfg.DataDir, pid).WithTry("naru down")
	}
	if _, err := os.Stat(cfg.StorePath()); err == nil {
		return fault.New(fault.Conflict, "data_dir", "%s has data already", cfg.DataDir).
			WithTry("name an empty folder with --data-dir, or move the old one away")
	}
	return nil
}

// unpackBackup writes a backup's files, none of them outside the folder.
func unpackBackup(file, dir string) (n int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, "file", err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return 0, fault.New(fault.Invalid, "file", "%s is not a backup: %s", file, err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	in := tar.NewReader(gz)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, fault.New(fault.Invalid, "file", "%s is damaged: %s", file, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := unpackFile(root, h, in); err != nil {
			return n, err
		}
		n++
	}
}

func unpackFile(root *os.Root, h *tar.Header, in io.Reader) (err error) {
	if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(h.Name)), 0o700); err != nil {
		return fmt.Errorf("restore %s: %w", h.Name, err)
	}
	f, err := root.OpenFile(filepath.FromSlash(h.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(h.Mode).Perm())
	if err != nil {
		return fmt.Errorf("restore %s: %w", h.Name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, in); err != nil {
		return fmt.Errorf("restore %s: %w", h.Name, err)
	}
	return f.Sync()
}
