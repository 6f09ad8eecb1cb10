package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) features() *cobra.Command {
	message := ""
	command := &cobra.Command{
		Use: "features [NAME [on|off]]", Short: "Show or switch what the platform lets people do", Args: between("[NAME]", "[on|off]"),
		ValidArgsFunction: c.completeFeature,
		Long: `A feature that is off is refused to all who do not administer the platform, with naru, with the cf client, with every
other client: the next request counts. Two hold for administrators too: diego_docker and env_var_visibility. What runs goes on.
Some features are as they are, because naru has them always or not at all; the list says why.`,
		Example: "  naru features\n  naru features task_creation off --message 'ask the platform team'\n  naru features task_creation on",
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				all, err := cl.Features(cc.Context())
				if err != nil {
					return err
				}
				return list(c.screen, all, "no features", []string{"FEATURE", "STATE", "LETS PEOPLE", "NOTE"}, func(f client.Feature) []string {
					return []string{f.Name, onOff(f.Enabled), f.About, dash(featureNote(f))}
				})
			}
			change := client.FeatureChange{}
			if len(args) == 2 {
				on := args[1] == "on"
				if !on && args[1] != "off" {
					return fault.New(fault.Invalid, "", "%q is neither on nor off", args[1]).WithTry("naru features %s on", args[0])
				}
				change.Enabled = &on
			}
			if cc.Flags().Changed("message") {
				change.Message = &message
			}
			var f client.Feature
			if change == (client.FeatureChange{}) {
				f, err = cl.Feature(cc.Context(), args[0])
			} else {
				f, err = cl.SwitchFeature(cc.Context(), args[0], change)
			}
			if err != nil {
				return err
			}
			text := fmt.Sprintf("%s is %s; it lets people %s", f.Name, onOff(f.Enabled), f.About)
			if note := featureNote(f); note != "" {
				text += " (" + note + ")"
			}
			return c.screen.done(f, "%s", text)
		},
	}
	command.Flags().StringVar(&message, "message", "", "what is told to whom it is refused; '' takes it back")
	return command
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// featureNote is what there is to say of a feature beside its state.
func featureNote(f client.Feature) string {
	switch {
	case f.Fixed != "":
		return "stays so: " + f.Fixed
	case f.Message != "":
		return "told: " + f.Message
	}
	return ""
}

// completeFeature completes the name of a feature, and to what it may be switched.
func (c *cmd) completeFeature(cc *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		c.screen, c.patience = newScreen(c.world, true, true), -1
		cl, _, err := c.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cc.Context(), completionTime)
		defer cancel()
		all, _ := cl.Features(ctx) // a server that does not answer has none
		names := make([]string, len(all))
		for i, f := range all {
			names[i] = f.Name + "\t" + f.About
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	case 1:
		return []string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
