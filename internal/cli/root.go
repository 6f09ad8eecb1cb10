package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"naru/internal/fault"
	"naru/internal/version"
)

// root is the whole command line.
func (c *cmd) root() *cobra.Command {
	root := c.family(&cobra.Command{
		Use:     "naru COMMAND",
		Short:   "Push code, get a URL",
		Long:    "naru takes an application from source to a running, routed, watched service.\nIf the new version is worse than the old one, it notices and goes back.",
		Version: version.Version,
		PersistentPreRun: func(*cobra.Command, []string) {
			c.screen = newScreen(c.world, c.flags.json, c.flags.noColor)
		},
		SilenceUsage: true, SilenceErrors: true,
	})
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usage)
	f := root.PersistentFlags()
	f.StringVar(&c.flags.server, "server", "", "address of the naru server (default: where you logged in, $NARU_SERVER)")
	f.StringVarP(&c.flags.org, "org", "o", "", "organisation (default: as targeted, $NARU_ORG)")
	f.StringVarP(&c.flags.space, "space", "s", "", "space (default: as targeted, $NARU_SPACE)")
	f.BoolVar(&c.flags.json, "json", false, "print JSON: one value, or a line for each thing that happens")
	f.BoolVar(&c.flags.noColor, "no-color", false, "print without colours (also $NO_COLOR)")

	for _, role := range c.world.Roles {
		inOurWords(role)
	}
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"apps", "Apps:", []*cobra.Command{c.push(), c.apps(), c.app(), c.scale(), c.start(), c.stop(), c.restart(), c.rename(), c.delete()}},
		{"settings", "Settings:", []*cobra.Command{c.env(), c.setEnv(), c.unsetEnv(), c.services(), c.serviceFamily(), c.bind(), c.unbind(), c.routes(), c.mapRoute(), c.unmapRoute(), c.route(), c.labels(), c.label(), c.annotate()}},
		{"inside", "Commands inside:", []*cobra.Command{c.run(), c.exec(), c.tasks(), c.task()}},
		{"releases", "Releases:", []*cobra.Command{c.releases(), c.rollback(), c.rollouts(), c.rollout(), c.judge(), c.groups(), c.serverGroup(), c.operations()}},
		{"look", "What happens:", []*cobra.Command{c.why(), c.whatChanged(), c.logs(), c.stats(), c.traces(), c.trace(), c.dependencies(), c.events(), c.drains(), c.drain()}},
		{"objectives", "Objectives:", []*cobra.Command{c.slo(), c.policy(), c.announced(), c.dora(), c.alerts(), c.receivers(), c.silences(), c.deliveries()}},
		{"builds", "Builds:", []*cobra.Command{c.builders(), c.buildpacks(), c.buildpack(), c.foundations(), c.bake()}},
		{"places", "Places and people:", []*cobra.Command{c.target(), c.orgs(), c.spaces(), c.spaceSettings(), c.quotas(), c.quota(), c.features(), c.users(), c.credentials(), c.certificates(), c.domain()}},
		{"account", "Your login:", []*cobra.Command{c.login(), c.logout(), c.whoami(), c.passwd(), c.tokens()}},
		{"platform", "The platform:", append(slices.Clone(c.world.Roles), c.info(), c.variables(), c.backup(), c.gc(), c.key())},
		{"others", "Others:", []*cobra.Command{c.version()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, one := range g.commands {
			one.GroupID = g.id
			root.AddCommand(one)
		}
	}
	root.SetHelpCommandGroupID("others")
	root.SetCompletionCommandGroupID("others")
	c.completing(root)
	return root
}

// inOurWords lets a command that was made elsewhere refuse arguments as ours do.
func inOurWords(command *cobra.Command) {
	check := command.Args
	if check == nil {
		return
	}
	command.Args = func(cc *cobra.Command, args []string) error {
		err := check(cc, args)
		if err == nil || fault.Of(err).Kind != fault.Internal {
			return err
		}
		return misused(cc, "%s", err)
	}
}

// isFamily marks commands that do little themselves.
const isFamily = "naru.family"

// family makes a command of its subcommands. Where it does nothing itself it
// shows what there is; anything else that follows it is a word not known.
func (c *cmd) family(command *cobra.Command, members ...*cobra.Command) *cobra.Command {
	command.AddCommand(members...)
	command.Annotations = map[string]string{isFamily: "yes"}
	alone := command.RunE
	command.Args = cobra.ArbitraryArgs
	command.RunE = func(cc *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(cc, args[0])
		case alone != nil:
			return alone(cc, args)
		}
		return cc.Help()
	}
	return command
}

func unknownCommand(cc *cobra.Command, word string) error {
	err := fault.New(fault.Invalid, "", "%s has no command %q", cc.CommandPath(), word)
	var names []string
	for _, one := range cc.Commands() {
		if one.IsAvailableCommand() {
			names = append(append(names, one.Name()), one.Aliases...)
			if one.SuggestFor != nil {
				for _, other := range one.SuggestFor {
					if other == word {
						return err.WithTry("%s", one.CommandPath())
					}
				}
			}
		}
	}
	if best := nearest(word, names); best != "" {
		return err.WithTry("%s %s", cc.CommandPath(), best)
	}
	return err.WithTry("%s --help lists them", cc.CommandPath())
}

// flagError says which flag was meant. A word that is no command comes first:
// its flags cannot be known.
func flagError(cc *cobra.Command, err error) error {
	if words := cc.Flags().Args(); cc.Annotations[isFamily] != "" && len(words) > 0 {
		return unknownCommand(cc, words[0])
	}
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		return fault.New(fault.Invalid, "", "--%s: %q is not %s", value.GetFlag().Name, value.GetValue(), kindOfFlag(value.GetFlag())).
			WithTry("%s --help", cc.CommandPath())
	}
	text := err.Error()
	wrong := fault.New(fault.Invalid, "", "%s: %s", cc.CommandPath(), text)
	if flag, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		if best := nearest(flag, flagNames(cc)); best != "" {
			return wrong.WithTry("%s --%s", cc.CommandPath(), best)
		}
	}
	if strings.HasPrefix(text, "unknown") && strings.Contains(cc.Use, "-- COMMAND") {
		return wrong.WithTry("put -- before the command: %s APP -- COMMAND", cc.CommandPath())
	}
	return wrong.WithTry("%s --help", cc.CommandPath())
}

// kindOfFlag says what a flag takes.
func kindOfFlag(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int":
		return "a whole number"
	case "duration":
		return "a time such as 90s or 10m"
	case "bool":
		return "true or false"
	}
	return "a " + f.Value.Type()
}

// nearest finds the candidate that a mistyped word most likely means; "" when
// none is near.
func nearest(word string, candidates []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, c := range candidates {
		d := distance(word, c)
		if len(word) > 2 && strings.HasPrefix(c, word) {
			d = min(d, 1)
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the letters to change, add, remove or swap between two words.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			differs := 1
			if a[i-1] == b[j-1] {
				differs = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+differs)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
