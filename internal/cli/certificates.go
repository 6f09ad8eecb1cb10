package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) certificates() *cobra.Command {
	show := func(cc *cobra.Command, _ []string) error {
		s, err := c.space()
		if err != nil {
			return err
		}
		all, err := s.Certificates(cc.Context())
		if err != nil {
			return err
		}
		return list(c.screen, all, "no certificates; add one: naru certificate add HOST --cert FILE --key FILE",
			[]string{"HOST", "SOURCE", "STATE", "ISSUER"}, func(k client.Certificate) []string {
				return []string{k.Host, k.Source, stateOf(k, time.Now()), dash(k.Issuer)}
			})
	}
	return c.family(&cobra.Command{
		Use:     "certificates [COMMAND]",
		Aliases: []string{"certificate"},
		Short:   "List what hosts are served with over HTTPS; add and delete certificates",
		RunE:    show,
	}, &cobra.Command{
		Use: "list", Short: "List the certificates; keys are never shown", Args: exactly(), RunE: show,
	}, c.addCertificate(), &cobra.Command{
		Use: "delete HOST", Short: "Forget the certificate of a host", Args: exactly("HOST"),
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			if err := s.DeleteCertificate(cc.Context(), args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "forgot the certificate of %s", args[0])
		},
	})
}

func (c *cmd) addCertificate() *cobra.Command {
	var cert, key string
	command := &cobra.Command{
		Use:   "add HOST",
		Short: "Serve a host with a certificate of your own",
		Long: `Checks that the key belongs to the certificate, that the chain is in order, and that it is for the host and good now;
keeps the key encrypted and serves new connections with it at once. Adding another one for the same host replaces it.`,
		Example: `  naru certificate add shop.example.com --cert fullchain.pem --key privkey.pem
  naru certificate add '*.example.com' --cert fullchain.pem --key privkey.pem`,
		Args: exactly("HOST"),
		RunE: func(cc *cobra.Command, args []string) error {
			if cert == "" || key == "" {
				return misused(cc, "a certificate and its key are needed: --cert FILE --key FILE")
			}
			var in client.NewCertificate
			for _, f := range []struct {
				flag, path string
				into       *string
			}{{"cert", cert, &in.Chain}, {"key", key, &in.Key}} {
				text, err := os.ReadFile(f.path)
				if err != nil {
					return fault.New(fault.Invalid, f.flag, "cannot read %s", f.path).WithTry("name a readable PEM file with --%s", f.flag).WithCause(err)
				}
				*f.into = string(text)
			}
			s, err := c.space()
			if err != nil {
				return err
			}
			k, err := s.SetCertificate(cc.Context(), args[0], in)
			if err != nil {
				return err
			}
			return c.screen.done(k, "%s is served with a certificate of %s until %s", k.Host, k.Issuer, k.Until.Local().Format(time.DateOnly))
		},
	}
	f := command.Flags()
	f.StringVar(&cert, "cert", "", "PEM file: the certificate of the host first, then those that lead to its authority")
	f.StringVar(&key, "key", "", "PEM file with its private key, without a passphrase")
	return command
}

// stateOf says in words how it is with a certificate.
func stateOf(k client.Certificate, now time.Time) string {
	text := k.State
	if !k.Until.IsZero() {
		text += " until " + k.Until.Local().Format(time.DateOnly)
		if left := k.Until.Sub(now); k.State == client.CertificateExpired {
			text = "expired on " + k.Until.Local().Format(time.DateOnly)
		} else if left < 21*24*time.Hour {
			text += ", soon"
		}
	}
	if k.Detail != "" {
		text += ": " + k.Detail
	}
	if !k.Next.IsZero() && k.Detail != "" {
		text += "; next try " + k.Next.Local().Format(time.DateTime)
	}
	return text
}
