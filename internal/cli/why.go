package cli

import (
	"github.com/spf13/cobra"
)

func (c *cmd) why() *cobra.Command {
	return &cobra.Command{
		Use: "why APP", Short: "Say why an app is in the state it is in, and what to do next", Args: exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			w, err := in.Why(cc.Context())
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(w)
			}
			for i, sentence := range w.Sentences {
				color := plain
				if i == 0 {
					color = stateColor(w.State)
				}
				c.screen.say("%s", c.screen.paint(color, tame(sentence)))
			}
			for i, command := range w.Try {
				word := "     "
				if i == 0 {
					word = "try: "
				}
				c.screen.say("%s", c.screen.paint(faint, word)+tame(command))
			}
			return nil
		},
	}
}

func stateColor(state string) string {
	switch state {
	case "well":
		return good
	case "stuck", "crashing", "failing":
		return bad
	case "went back", "frozen", "unwell":
		return warn
	}
	return plain
}
