package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) buildpacks() *cobra.Command {
	return &cobra.Command{
		Use: "buildpacks", Short: "List the uploaded buildpacks in the order in which they are asked", Args: exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			all, err := cl.Buildpacks(cc.Context())
			if err != nil {
				return err
			}
			return list(c.screen, all, "no uploaded buildpacks; naru builders lists naru's own", []string{"POSITION", "BUILDPACK", "STACK", "STATE", "FILES"}, func(b client.Buildpack) []string {
				return []string{strconv.Itoa(b.Position), b.Name, dash(b.Stack), packState(b), dash(b.Filename)}
			})
		},
	}
}

// packState says whether builds can use a buildpack, and what is odd about it.
func packState(b client.Buildpack) string {
	var out []string
	if !b.Enabled {
		out = append(out, "disabled")
	}
	if b.Digest == "" {
		out = append(out, "no files yet")
	}
	if len(out) == 0 {
		out = append(out, "ready")
	}
	if b.Locked {
		out = append(out, "locked")
	}
	if b.Refused != "" {
		out = append(out, "the last upload was refused: "+b.Refused)
	}
	return strings.Join(out, ", ")
}

func (c *cmd) buildpack() *cobra.Command {
	return c.family(&cobra.Command{
		Use: "buildpack COMMAND", Short: "Upload, change and delete classic buildpacks for all spaces",
		Long: `A buildpack that was uploaded can be named by everybody (naru push -b NAME, buildpacks: in a manifest), and is asked whether it knows
source that none of naru's builders recognises. PATH is its folder, or a zip, tar or tar.gz of it. Administrators only.`,
		Example: "  naru buildpack create words ./words-buildpack\n  naru buildpack create nodejs_buildpack nodejs.zip --position 2 --stack cflinuxfs4\n  naru buildpack set words --path words-2.zip\n  naru buildpack delete words",
	}, c.buildpackCreate(), c.buildpackSet(), c.buildpackDelete())
}

func (c *cmd) buildpackCreate() *cobra.Command {
	var in client.NewBuildpack
	command := &cobra.Command{
		Use: "create NAME PATH", Short: "Upload a buildpack from a folder or an archive", Args: exactly("NAME", "PATH"),
		Example: "  naru buildpack create words ./words-buildpack\n  naru buildpack create words words.zip --position 3 --disabled",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveDefault // a path
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cc *cobra.Command, args []string) error {
			if cc.Flags().Changed("position") && in.Position < 1 {
				return fault.New(fault.Invalid, "position", "a position is a number from 1 on").WithTry("--position 1 for the first")
			}
			files, err := packFiles(args[1])
			if err != nil {
				return err
			}
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			lock := in.Locked
			in.Name, in.Locked = args[0], false // a locked one takes no files
			made, err := cl.CreateBuildpack(cc.Context(), in)
			if err != nil {
				return err
			}
			which := client.PickedBuildpack{Name: made.ID}
			b, err := c.sendBuildpack(cc.Context(), cl, which, files)
			if err != nil {
				return takenBack(cc.Context(), cl, made, err)
			}
			if lock {
				if b, err = cl.ChangeBuildpack(cc.Context(), which, client.BuildpackChange{Locked: &lock}); err != nil {
					return err
				}
			}
			return c.screen.done(b, "%s", packText(b))
		},
	}
	f := command.Flags()
	f.IntVar(&in.Position, "position", 1, "place in the order in which buildpacks are asked")
	f.StringVar(&in.Stack, "stack", "", "stack for which it is made, as cflinuxfs4 (default: what its manifest.yml says, else any)")
	f.BoolVar(&in.Disabled, "disabled", false, "builds may not use it yet")
	f.BoolVar(&in.Locked, "locked", false, "its files stay as they are until it is unlocked")
	c.completeStacks(command, "stack")
	return command
}

// takenBack removes a buildpack that was made for files which did not come.
func takenBack(ctx context.Context, cl *client.Client, made client.Buildpack, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := cl.DeleteBuildpack(ctx, client.PickedBuildpack{Name: made.ID}); err != nil && !fault.Is(err, fault.NotFound) {
		f := *fault.Of(why)
		f.Message += fmt.Sprintf("; the buildpack %s is there without files", made.Name)
		f.Try = fmt.Sprintf("naru buildpack set %s --path PATH, or naru buildpack delete %s", made.Name, made.Name)
		return &f
	}
	return why
}

func packText(b client.Buildpack) string {
	text := fmt.Sprintf("buildpack %s at position %d", b.Name, b.Position)
	if b.Stack != "" {
		text += " for " + b.Stack
	}
	return text + ": " + packState(b)
}

func (c *cmd) buildpackSet() *cobra.Command {
	var path, stack, assign, name string
	var position int
	var enable, disable, lock, unlock bool
	command := &cobra.Command{
		Use: "set NAME", Short: "Change a buildpack: its files, place, name, and whether builds may use it", Args: exactly("NAME"), ValidArgsFunction: c.completeBuildpack,
		Example: "  naru buildpack set words --path words-2.zip\n  naru buildpack set words --position 1 --enable\n  naru buildpack set words --stack cflinuxfs3 --disable",
		RunE: func(cc *cobra.Command, args []string) error {
			var in client.BuildpackChange
			for _, pair := range []struct {
				yes, no    bool
				text       string
				into       **bool
				otherwords string
			}{{enable, disable, "--enable", &in.Enabled, "--disable"}, {lock, unlock, "--lock", &in.Locked, "--unlock"}} {
				if pair.yes && pair.no {
					return fault.New(fault.Invalid, "", "%s and %s exclude each other", pair.text, pair.otherwords).WithTry("one of them")
				}
				if pair.yes || pair.no {
					*pair.into = &pair.yes
				}
			}
			changed := cc.Flags().Changed
			if changed("name") {
				in.Name = &name
			}
			if changed("assign-stack") {
				in.Stack = &assign
			}
			if changed("position") {
				in.Position = &position
			}
			if in == (client.BuildpackChange{}) && path == "" {
				return fault.New(fault.Invalid, "", "there is nothing to change").WithTry("naru buildpack set %s --path PATH, --position 1, --enable; see naru help buildpack set", args[0])
			}
			var files *packed
			if path != "" {
				var err error
				if files, err = packFiles(path); err != nil {
					return err
				}
			}
			return c.changeBuildpack(cc.Context(), client.PickedBuildpack{Name: args[0], Stack: stack}, in, files)
		},
	}
	f := command.Flags()
	f.StringVar(&path, "path", "", "folder or archive with its files from now on")
	f.IntVar(&position, "position", 0, "place in the order in which buildpacks are asked; others make room")
	f.StringVar(&stack, "stack", "", "which one is meant, where several have the name; none: the one that is made for any stack")
	f.StringVar(&assign, "assign-stack", "", "stack for one that is made for any")
	f.StringVar(&name, "name", "", "another name for it")
	f.BoolVar(&enable, "enable", false, "builds may use it")
	f.BoolVar(&disable, "disable", false, "builds may not use it")
	f.BoolVar(&lock, "lock", false, "its files stay as they are")
	f.BoolVar(&unlock, "unlock", false, "files are taken again")
	c.completeStacks(command, "stack", "assign-stack")
	return command
}

// changeBuildpack brings files and a change to a buildpack, in the order in which a
// lock lets both through: it is taken away before the files come, and put on behind
// them.
func (c *cmd) changeBuildpack(ctx context.Context, which client.PickedBuildpack, in client.BuildpackChange, files *packed) error {
	cl, _, err := c.connect()
	if err != nil {
		return err
	}
	b, err := cl.Buildpack(ctx, which)
	if err != nil {
		return err
	}
	which = client.PickedBuildpack{Name: b.ID} // whatever its name and stack become
	later := client.BuildpackChange{}
	if files != nil && in.Locked != nil && *in.Locked {
		later.Locked, in.Locked = in.Locked, nil
	}
	if in != (client.BuildpackChange{}) {
		if b, err = cl.ChangeBuildpack(ctx, which, in); err != nil {
			return err
		}
	}
	if files != nil {
		if b, err = c.sendBuildpack(ctx, cl, which, files); err != nil {
			return err
		}
	}
	if later.Locked != nil {
		if b, err = cl.ChangeBuildpack(ctx, which, later); err != nil {
			return err
		}
	}
	return c.screen.done(b, "%s", packText(b))
}

func (c *cmd) buildpackDelete() *cobra.Command {
	var stack string
	command := &cobra.Command{
		Use: "delete NAME", Short: "Delete a buildpack; what was built with it runs on", Args: exactly("NAME"), ValidArgsFunction: c.completeBuildpack,
		RunE: func(cc *cobra.Command, args []string) error {
			cl, _, err := c.connect()
			if err != nil {
				return err
			}
			if err := cl.DeleteBuildpack(cc.Context(), client.PickedBuildpack{Name: args[0], Stack: stack}); err != nil {
				return err
			}
			return c.screen.done(nil, "the buildpack %s is deleted", args[0])
		},
	}
	command.Flags().StringVar(&stack, "stack", "", "which one is meant, where several have the name; none: the one that is made for any stack")
	c.completeStacks(command, "stack")
	return command
}

// uploadedPacks are the buildpacks that completion knows of; none where the server
// does not answer in time.
func (c *cmd) uploadedPacks(cc *cobra.Command) []client.Buildpack {
	c.screen, c.patience = newScreen(c.world, true, true), -1
	cl, _, err := c.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cc.Context(), completionTime)
	defer cancel()
	all, err := cl.Buildpacks(ctx)
	if err != nil {
		return nil
	}
	return all
}

func (c *cmd) completeBuildpack(cc *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		for _, b := range c.uploadedPacks(cc) {
			names = append(names, b.Name+"\t"+packState(b))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeStacks completes flags by the stacks of buildpacks.
func (c *cmd) completeStacks(command *cobra.Command, flags ...string) {
	for _, flag := range flags {
		err := command.RegisterFlagCompletionFunc(flag, func(cc *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			stacks := []string{"cflinuxfs4"}
			for _, b := range c.uploadedPacks(cc) {
				stacks = append(stacks, b.Stack)
			}
			return stacks, cobra.ShellCompDirectiveNoFileComp
		})
		if err != nil {
			panic(err) // the flag is the command's own
		}
	}
}
