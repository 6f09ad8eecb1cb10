package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"naru/internal/client"
)

// completionTime bounds how long a shell waits for the names of apps.
const completionTime = 2 * time.Second

// completing lets shells complete names: every command whose first argument is
// an app completes apps.
func (c *cmd) completing(command *cobra.Command) {
	words := strings.Fields(command.Use)
	if len(words) > 1 && strings.Trim(words[1], "[]") == "APP" && command.ValidArgsFunction == nil {
		command.ValidArgsFunction = c.completeApp
	} else if command.ValidArgsFunction == nil && !command.HasSubCommands() && command.Name() != "push" && command.Name() != "bake" {
		command.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, one := range command.Commands() {
		if !slices.Contains(c.world.Roles, one) {
			c.completing(one)
		}
	}
}

// completeApp names the apps of the space. A shell that completes must not hang,
// nor show errors, so a server that does not answer has no apps.
func (c *cmd) completeApp(cc *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c.screen, c.patience = newScreen(c.world, true, true), -1
	s, err := c.space()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cc.Context(), completionTime)
	defer cancel()
	var names []string
	for a, err := range client.All(ctx, s.Apps) {
		if err != nil {
			break
		}
		names = append(names, a.Name+"\t"+a.Health)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// flagNames lists the flags that a command takes.
func flagNames(cc *cobra.Command) (names []string) {
	add := func(f *pflag.Flag) { names = append(names, f.Name) }
	cc.LocalFlags().VisitAll(add)
	cc.InheritedFlags().VisitAll(add)
	return names
}
