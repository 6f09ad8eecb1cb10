package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// usage shows how a command is used, what is below it and its flags. Those of
// every command are explained once, by naru --help.
func usage(cc *cobra.Command) error {
	var b strings.Builder
	line := cc.UseLine()
	if cc.Annotations[isFamily] != "" {
		line = strings.TrimSuffix(line, " [flags]")
	}
	fmt.Fprintf(&b, "Usage:\n  %s\n", line)
	if cc.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cc.Example)
	}
	for _, g := range cc.Groups() {
		members(&b, cc, g.ID, g.Title)
	}
	members(&b, cc, "", "Commands:")
	if flags := cc.LocalFlags().FlagUsages(); cc.HasAvailableLocalFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", flags)
	}
	if cc.HasParent() {
		fmt.Fprintf(&b, "\nFlags of every command: -o, -s, --server, --json, --no-color; see %s --help\n", cc.Root().Name())
	} else {
		fmt.Fprintf(&b, "\n%s COMMAND --help says more about a command.\n", cc.Name())
	}
	_, err := fmt.Fprint(cc.OutOrStderr(), b.String())
	return err
}

// members lists the commands of a group.
func members(b *strings.Builder, cc *cobra.Command, group, title string) {
	text := ""
	for _, one := range cc.Commands() {
		if one.GroupID == group && one.IsAvailableCommand() {
			text += fmt.Sprintf("  %-*s  %s\n", cc.Commands()[0].NamePadding(), one.Name(), one.Short)
		}
	}
	if text != "" {
		fmt.Fprintf(b, "\n%s\n%s", title, text)
	}
}
