package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/route/authority"
	"naru/internal/route/certificate"
)

// standalone is what only a gateway without a control plane is told.
type standalone struct{ cert, key, listen, metrics string }

func (s *standalone) check(table string) error {
	switch {
	case (s.cert == "") != (s.key == ""):
		return fault.New(fault.Invalid, "tls-cert", "a certificate and its key go together").WithTry("--tls-cert FILE --tls-key FILE")
	case s.cert != "" && table == "":
		return fault.New(fault.Invalid, "tls-cert", "a gateway of a control plane is given its certificates by it").WithTry("--table FILE, to stand alone")
	case s.metrics != "" && table == "":
		return fault.New(fault.Invalid, "metrics", "the control plane shows the metrics of its gateways").WithTry("GET /metrics of the API; or --table FILE, to stand alone")
	case s.listen != "" && s.cert == "":
		return fault.New(fault.Invalid, "listen-tls", "HTTPS needs a certificate").WithTry("--tls-cert FILE --tls-key FILE")
	}
	return nil
}

// shelf opens the certificates to serve. Under a control plane an error is no
// reason to stop: it will send them anew.
func (s *standalone) shelf(cfg config.Config, table string) (*certificate.Shelf, error) {
	if table == "" {
		return certificate.Open(filepath.Join(cfg.GatewayDir(), "certificates.json"))
	}
	shelf, err := certificate.Open("")
	if err == nil {
		err = s.load(shelf)
	}
	if err != nil {
		return nil, err
	}
	return shelf, nil
}

func (s *standalone) load(shelf *certificate.Shelf) error {
	if s.cert == "" {
		return nil
	}
	chain, err := os.ReadFile(s.cert)
	if err != nil {
		return fault.New(fault.Invalid, "tls-cert", "cannot read the certificate").WithCause(err)
	}
	key, err := os.ReadFile(s.key)
	if err != nil {
		return fault.New(fault.Invalid, "tls-key", "cannot read the key").WithCause(err)
	}
	set := &certificate.Set{Version: uint64(time.Now().UnixMicro()), Pairs: []certificate.Pair{{Chain: chain, Key: key}}}
	if err := shelf.Use(set); err != nil {
		return fault.New(fault.Invalid, "tls-cert", "%s cannot be served with %s", s.cert, s.key).WithCause(err)
	}
	return nil
}

// address is where HTTPS is served; "": nowhere.
func (s *standalone) address(cfg config.Config, table string) string {
	switch {
	case table == "":
		return cfg.Listen.AppsTLS
	case s.cert == "":
		return ""
	case s.listen != "":
		return s.listen
	}
	return "127.0.0.1:8443"
}

func authorityCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "ca", Short: "Print the certificate of the platform's own authority, for trust stores", Args: cobra.NoArgs,
		Long: "HTTPS of the platform's own names is signed by an authority of its own, made when HTTPS is first served. Who trusts\nthis certificate trusts it for names under the apps domain and for nothing else.",
	}
	load := configured(c)
	c.RunE = func(cc *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		text, err := authority.ReadCertificate(cfg.AuthorityPath())
		if errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.NotFound, "ca", "the platform in %s has no authority yet", cfg.DataDir).
				WithTry("naru up --listen-apps-tls 127.0.0.1:8443 makes one at its start; --data-dir names another platform")
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(cc.OutOrStdout(), string(text))
		return err
	}
	return c
}
