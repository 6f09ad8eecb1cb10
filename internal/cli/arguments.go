package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/fault"
)

// exactly, between and minimum check the number of arguments, in our words.
func exactly(names ...string) cobra.PositionalArgs {
	return between(names...)
}

// between takes names of arguments, in brackets those that may be absent.
func between(names ...string) cobra.PositionalArgs {
	return func(cc *cobra.Command, args []string) error {
		needed := 0
		for _, n := range names {
			if !strings.HasPrefix(n, "[") {
				needed++
			}
		}
		switch {
		case len(args) < needed:
			return misused(cc, "%s needs %s", cc.CommandPath(), names[len(args)])
		case len(args) > len(names) && len(names) == 0:
			return misused(cc, "%s takes no arguments, not %q", cc.CommandPath(), args[0])
		case len(args) > len(names):
			return misused(cc, "%s takes %s, and nothing like %q after it", cc.CommandPath(), strings.Join(names, " "), args[len(names)])
		}
		return nil
	}
}

// minimum takes at least n arguments; what says which.
func minimum(n int, what string) cobra.PositionalArgs {
	return func(cc *cobra.Command, args []string) error {
		if len(args) < n {
			return misused(cc, "%s needs %s", cc.CommandPath(), what)
		}
		return nil
	}
}

// misused says how a command is used: the first of its examples, else its help.
func misused(cc *cobra.Command, format string, args ...any) error {
	err := fault.New(fault.Invalid, "", format, args...)
	if example, _, _ := strings.Cut(cc.Example, "\n"); example != "" {
		return err.WithTry("%s", strings.TrimSpace(example))
	}
	if cc.HasSubCommands() {
		return err.WithTry("%s --help", cc.CommandPath())
	}
	words := strings.TrimPrefix(cc.UseLine(), cc.CommandPath())
	return err.WithTry("%s%s", cc.CommandPath(), strings.TrimSuffix(words, " [flags]"))
}
