package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

func (c *cmd) domain() *cobra.Command {
	return &cobra.Command{
		Use:   "domain HOST",
		Short: "Show what proves that a host is the space's, and what DNS has of it",
		Long: `A host outside the apps domain is mapped once DNS gives it to the space: by a TXT record that names the space, or, where
the platform says at which addresses it is reached, by leading there. Shows what is expected and what is seen.`,
		Example: `  naru domain shop.example.com
  naru domain '*.shop.example.com'`,
		Args: exactly("HOST"),
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			d, err := s.Domain(cc.Context(), args[0])
			if err != nil {
				return err
			}
			return c.showDomain(d)
		},
	}
}

func (c *cmd) showDomain(d client.Domain) error {
	if c.screen.json {
		return c.screen.data(d)
	}
	switch d.State {
	case client.DomainUnproved, client.DomainTaken:
		c.screen.say("%s", c.screen.paint(warn, tame(d.Text)))
	default:
		c.screen.say("%s is %s: %s", c.screen.paint(strong, d.Host), c.screen.paint(good, d.State), tame(d.Text))
	}
	if len(d.Checks) > 0 {
		c.screen.say("")
		err := list(c.screen, d.Checks, "", []string{"RECORD", "NAME", "EXPECTED", "SEEN"}, func(k client.DomainCheck) []string {
			return []string{k.Records, k.Name, strings.Join(k.Expected, ", "), dash(strings.Join(k.Seen, ", "))}
		})
		if err != nil {
			return err
		}
	}
	if d.Try != "" {
		c.screen.say("")
		c.screen.say("try: %s", tame(d.Try))
	}
	return nil
}
