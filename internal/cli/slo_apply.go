package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/objective"
	"naru/internal/judge/openslo"
)

// mostFirst orders debits by what they took.
func mostFirst(all []client.Debit) []client.Debit {
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b client.Debit) int { return cmp.Compare(b.Budget, a.Budget) })
	return out
}

// maxSLOFile bounds a file of objectives.
const maxSLOFile = 4 << 20

func (c *cmd) applySLO() *cobra.Command {
	var files []string
	var dry bool
	name := ""
	command := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Keep the objectives of OpenSLO files, beside those of the manifests",
		Long: `Reads OpenSLO v1 files. Each SLO becomes an objective of the app that its service names. Objectives of the same name that were
applied before are replaced; others stay, and those of the app's manifest are not touched. naru slo delete takes one away.`,
		Example: "  naru slo apply -f slo.yml --dry-run\n  naru slo export my-shop | naru slo apply -f - --app my-copy",
		Args:    exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return misused(cc, "which file? -f FILE; - is the standard input")
			}
			declared, err := c.readSLOs(files)
			if err != nil {
				return err
			}
			byApp, apps := map[string][]openslo.Declared{}, []string{}
			for _, d := range declared {
				of := cmp.Or(name, d.Service)
				if byApp[of] == nil {
					apps = append(apps, of)
				}
				byApp[of] = append(byApp[of], d)
			}
			if len(apps) == 0 {
				return fault.New(fault.Invalid, "-f", "there is no SLO in %s", strings.Join(files, ", "))
			}
			all := []applied{}
			for _, of := range apps {
				one, err := c.applyTo(cc, of, byApp[of], dry)
				if err != nil {
					return err
				}
				all = append(all, one...)
			}
			return c.showApplied(all, dry)
		},
	}
	command.Flags().StringArrayVarP(&files, "file", "f", nil, "OpenSLO v1 file, - for the standard input; may be repeated")
	command.Flags().BoolVar(&dry, "dry-run", false, "change nothing, and show what would change")
	command.Flags().StringVar(&name, "app", "", "the app (default: the service that each SLO names)")
	return command
}

// applied is what became of one objective.
type applied struct {
	App string `json:"app"`
	client.ObjectiveChange
}

// readSLOs reads files of OpenSLO; references between them are followed.
func (c *cmd) readSLOs(files []string) ([]openslo.Declared, error) {
	var objects []openslo.Object
	for _, name := range files {
		var from io.Reader = c.world.In
		if name != "-" {
			f, err := os.Open(c.absolute(name))
			if err != nil {
				return nil, fault.New(fault.Invalid, "-f", "cannot read %s", name).WithTry("name a readable OpenSLO file").WithCause(err)
			}
			defer func() { _ = f.Close() }() // only read from
			from = f
		}
		text, err := io.ReadAll(io.LimitReader(from, maxSLOFile+1))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if len(text) > maxSLOFile {
			return nil, fault.New(fault.TooLarge, "-f", "%s is larger than 4 MiB", name)
		}
		some, err := openslo.Parse(name, bytes.TrimPrefix(text, []byte("\ufeff")))
		if err != nil {
			return nil, err
		}
		objects = append(objects, some...)
	}
	return openslo.Objectives(objects)
}

func (c *cmd) applyTo(cc *cobra.Command, name string, declared []openslo.Declared, dry bool) ([]applied, error) {
	in, err := c.inApp(name)
	if err != nil {
		return nil, err
	}
	request := client.ApplyObjectives{DryRun: dry}
	for _, d := range declared {
		request.Objectives = append(request.Objectives, objectiveOf(d.Objective))
	}
	changes, err := in.ApplyObjectives(cc.Context(), request)
	if err != nil {
		return nil, inFile(err, declared)
	}
	var out []applied
	for _, one := range changes.Changes {
		out = append(out, applied{name, one})
	}
	return out, nil
}

// inFile says where in the files stands what the server does not take.
func inFile(err error, declared []openslo.Declared) error {
	f := fault.Of(err)
	at, key := 0, f.Field
	if rest, ok := strings.CutPrefix(f.Field, "objectives["); ok {
		number, after, _ := strings.Cut(rest, "]")
		if i, bad := strconv.Atoi(number); bad == nil && i >= 0 && i < len(declared) {
			at, key = i, strings.TrimPrefix(after, ".")
		}
	}
	named := *f
	d := declared[at]
	named.Field = fmt.Sprintf("%s:%d: %s", d.File, d.Line, d.Objective.Name)
	if key != "" && key != "objectives" {
		named.Field += ": " + key
	}
	return &named
}

func (c *cmd) showApplied(all []applied, dry bool) error {
	if c.screen.json {
		return c.screen.data(all)
	}
	for _, one := range all {
		text := ""
		switch {
		case one.Before != nil && one.Change == "changed":
			before, after := inWords(*one.Before), inWords(*one.After)
			if text = before + " -> " + after; before == after {
				text = after + " (its details)"
			}
		case one.After != nil:
			text = inWords(*one.After)
		}
		color := map[string]string{"added": good, "changed": warn, "unchanged": faint}[one.Change]
		c.screen.say("%s  %s %s: %s", c.screen.paint(color, fmt.Sprintf("%-9s", one.Change)), tame(one.App), tame(one.Name), tame(text))
	}
	if dry {
		c.screen.say("nothing was changed: --dry-run")
	}
	return nil
}

func inWords(o client.Objective) string { return objective.Describe(rewritten[app.Objective](o)) }

func (c *cmd) exportSLO() *cobra.Command {
	return &cobra.Command{
		Use: "export APP", Short: "Print the objectives of an app as an OpenSLO file", Args: exactly("APP"),
		Example: "  naru slo export my-shop > slo.yml",
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			d, err := in.Objectives(cc.Context())
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(d)
			}
			if len(d.Objectives) == 0 {
				return fault.New(fault.NotFound, "app", "%s has no objectives", args[0]).WithTry("naru slo apply -f FILE")
			}
			all := make([]app.Objective, len(d.Objectives))
			for i, o := range d.Objectives {
				all[i] = rewritten[app.Objective](o.Objective)
			}
			objects, err := openslo.FromObjectives(args[0], all)
			if err != nil {
				return err
			}
			text, err := openslo.Render(objects)
			if err != nil {
				return err
			}
			c.screen.say("%s", strings.TrimRight(string(text), "\n"))
			return nil
		},
	}
}

func (c *cmd) deleteSLO() *cobra.Command {
	return &cobra.Command{
		Use: "delete APP OBJECTIVE", Short: "Forget an objective that was applied", Args: exactly("APP", "OBJECTIVE"), ValidArgsFunction: c.completeObjective,
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			if err := in.DeleteObjective(cc.Context(), args[1]); err != nil {
				return err
			}
			return c.screen.done(nil, "%s does not promise %s any more", args[0], args[1])
		},
	}
}

// completeObjective completes an app, and then one of its objectives that were
// applied.
func (c *cmd) completeObjective(cc *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return c.completeApp(cc, args, word)
	}
	return c.completed(cc, func(in *client.InApp) (names []string) {
		d, err := in.Objectives(cc.Context())
		for _, o := range d.Objectives {
			if err == nil && o.Origin == string(app.Applied) {
				names = append(names, o.Name+"\t"+o.Kind)
			}
		}
		return names
	}, args[0])
}

// completed asks an app for names, in the little time that a shell waits.
func (c *cmd) completed(cc *cobra.Command, ask func(*client.InApp) []string, name string) ([]string, cobra.ShellCompDirective) {
	c.screen, c.patience = newScreen(c.world, true, true), -1
	in, err := c.inApp(name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cc.Context(), completionTime)
	defer cancel()
	cc.SetContext(ctx)
	return ask(in), cobra.ShellCompDirectiveNoFileComp
}
