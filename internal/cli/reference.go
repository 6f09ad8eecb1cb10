package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Setting marks flags that are settings of the platform (an annotation of pflag).
// They are many and the same at every role, so the manual names their own page.
const Setting = "naru_setting"

// Reference is the manual of every command as Markdown. roles are the server
// side's commands, which a World hands in too.
func Reference(roles ...*cobra.Command) string {
	c := &cmd{world: World{Roles: roles, Getenv: func(string) string { return "" }}}
	root := c.root()
	var b strings.Builder
	b.WriteString(`# The command line

` + "`naru --help`" + ` and ` + "`naru COMMAND --help`" + ` say the same. This page is generated from the commands; do not edit it.

**Exit codes**: 0 done, 1 failed, 2 used wrongly, 130 interrupted; of ` + "`naru run`" + ` and ` + "`naru exec`" + ` the command's own.

**Output**: one line per step or a table; plain where it is no terminal, with ` + "`NO_COLOR`" + ` set, or with ` + "`--no-color`" + `. With
` + "`--json`" + ` one JSON value, or for what goes on (push, logs, operations) one line for each thing that happens; errors are a
line of JSON on standard error.

**Environment**: ` + "`NARU_SERVER`, `NARU_ORG`, `NARU_SPACE`" + ` stand in for the flags; ` + "`NARU_TOKEN`" + ` is an API token in place of a
login; ` + "`NARU_HOME`" + ` is the folder of the login and the target (default: naru in the user's configuration folder).

Flags of every command:

` + "```" + `
` + strings.TrimRight(root.PersistentFlags().FlagUsages(), "\n") + `
` + "```" + `
`)
	for _, g := range root.Groups() {
		fmt.Fprintf(&b, "\n## %s\n", strings.TrimSuffix(g.Title, ":"))
		for _, one := range root.Commands() {
			if one.GroupID == g.ID {
				describe(&b, one)
			}
		}
	}
	b.WriteString("\n### naru completion\n\nPrints a script that lets a shell complete commands, flags and the names of apps.\n\n" +
		"```\nsource <(naru completion bash)\nsource <(naru completion zsh)\nnaru completion fish | source\n```\n")
	return b.String()
}

// describe writes a command and those below it.
func describe(b *strings.Builder, cc *cobra.Command) {
	fmt.Fprintf(b, "\n### %s\n\n", cc.CommandPath())
	text := cc.Long
	if text == "" {
		text = cc.Short + "."
	}
	fmt.Fprintf(b, "%s\n\n```\n%s\n```\n", text, strings.TrimSuffix(cc.UseLine(), " [flags]"))
	if cc.Example != "" {
		fmt.Fprintf(b, "\nFor example:\n\n```\n%s\n```\n", unindent(cc.Example))
	}
	own, settings := pflag.NewFlagSet(cc.Name(), pflag.ContinueOnError), false
	cc.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Annotations[Setting] != nil {
			settings = true
		} else {
			own.AddFlag(f)
		}
	})
	if flags := own.FlagUsages(); flags != "" {
		fmt.Fprintf(b, "\nFlags:\n\n```\n%s\n```\n", strings.TrimRight(flags, "\n"))
	}
	if settings {
		b.WriteString("\nEvery setting of the platform is a flag, too: see [configuration](configuration.md).\n")
	}
	for _, one := range cc.Commands() {
		if one.IsAvailableCommand() {
			describe(b, one)
		}
	}
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}
