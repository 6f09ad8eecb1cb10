package cli

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
)

// scopes are where receivers and silences can be.
const scopeDoc = "whose: space, org (all of its spaces), or platform"

// scoped adds the flag that says whose receivers or silences are meant.
func scoped(command *cobra.Command, into *string) *cobra.Command {
	command.Flags().StringVar(into, "scope", "space", scopeDoc)
	return command
}

// scope is where a command works, and a client for it.
func (c *cmd) scope(name string) (*client.Client, client.Scope, error) {
	cl, t, err := c.connect()
	if err != nil {
		return nil, client.Scope{}, err
	}
	switch name {
	case "space":
		return cl, client.Scope{Org: t.Org, Space: t.Space}, nil
	case "org":
		return cl, client.Scope{Org: t.Org}, nil
	case "platform":
		return cl, client.Scope{}, nil
	}
	return nil, client.Scope{}, fault.New(fault.Invalid, "scope", "%q is not a scope", name).WithTry("--scope space, org or platform")
}

func (c *cmd) receivers() *cobra.Command {
	scope := ""
	show := func(cc *cobra.Command, _ []string) error {
		cl, at, err := c.scope(scope)
		if err != nil {
			return err
		}
		all, err := cl.Receivers(cc.Context(), at)
		if err != nil {
			return err
		}
		return list(c.screen, all, "nobody is told of alerts; add somebody: naru receiver add NAME --mail ADDRESS",
			[]string{"NAME", "SCOPE", "KIND", "TO", "TOLD OF"}, func(r client.Receiver) []string {
				return []string{r.Name, r.Scope, r.Kind, dash(r.To), strings.Join(r.Severities, ", ")}
			})
	}
	return c.family(scoped(&cobra.Command{
		Use:     "receivers [COMMAND]",
		Aliases: []string{"receiver"},
		Short:   "List who is told of alerts; add, try and delete receivers",
		RunE:    show,
	}, &scope), scoped(&cobra.Command{
		Use: "list", Short: "List who is told of alerts, also those of the organisation and the platform", Args: exactly(), RunE: show,
	}, &scope), c.addReceiver(), c.testReceiver(), c.deleteReceiver())
}

func (c *cmd) addReceiver() *cobra.Command {
	var in client.NewReceiver
	var scope, webhook, slack, pagerDuty, token string
	command := &cobra.Command{
		Use:   "add NAME",
		Short: "Have somebody told of alerts, from now on",
		Long: `Alerts of an app are told together. A web hook gets JSON in the form of Alertmanager's; a Slack address may also be one of
Mattermost or Rocket.Chat. Addresses and keys are secret: kept encrypted and never shown. Give one as @FILE, or as - to be
asked for it, so that it is not in your shell's history.`,
		Example: `  naru receiver add team --mail team@example.com --severity page,ticket
  naru receiver add chat --slack - --severity page
  naru receiver add on-call --pagerduty @key.txt --scope org
  naru receiver add bot --webhook https://bot.example.com/alerts --token @token.txt`,
		Args: exactly("NAME"),
		RunE: func(cc *cobra.Command, args []string) error {
			in.Name = args[0]
			ways := 0
			for _, way := range []struct {
				given, kind, what string
				into              *string
			}{
				{webhook, "webhook", "address of the web hook", &in.URL}, {slack, "slack", "address of the Slack web hook", &in.URL}, {pagerDuty, "pagerduty", "integration key", &in.Token},
			} {
				if way.given == "" {
					continue
				}
				ways++
				in.Kind = way.kind
				var err error
				if *way.into, err = c.secretOf(cc.Context(), way.given, way.what); err != nil {
					return err
				}
			}
			if len(in.Addresses) > 0 {
				ways++
				in.Kind = "mail"
			}
			if ways != 1 {
				return misused(cc, "say how to tell: one of --webhook, --slack, --pagerduty and --mail")
			}
			if token != "" {
				if in.Kind != "webhook" {
					return misused(cc, "--token belongs to --webhook")
				}
				var err error
				if in.Token, err = c.secretOf(cc.Context(), token, "token"); err != nil {
					return err
				}
			}
			cl, at, err := c.scope(scope)
			if err != nil {
				return err
			}
			r, err := cl.AddReceiver(cc.Context(), at, in)
			if err != nil {
				return err
			}
			return c.screen.done(r, "%s (%s) is told of %s; try it: naru receiver test %s%s", r.Name, r.To, strings.Join(r.Severities, " and "), r.Name, inScope(scope))
		},
	}
	f := command.Flags()
	f.StringVar(&webhook, "webhook", "", "URL that gets JSON in the form of Alertmanager's web hook; @FILE, or - to be asked")
	f.StringVar(&slack, "slack", "", "URL of an incoming web hook of Slack, Mattermost or Rocket.Chat; @FILE, or - to be asked")
	f.StringVar(&pagerDuty, "pagerduty", "", "integration key of PagerDuty's Events API v2; @FILE, or - to be asked")
	f.StringArrayVar(&in.Addresses, "mail", nil, "mail address; may be repeated")
	f.StringVar(&token, "token", "", "with --webhook: sent as Authorization: Bearer; @FILE, or - to be asked")
	f.StringSliceVar(&in.Severities, "severity", nil, "what it is told of: page, ticket (default: both)")
	return scoped(command, &scope)
}

// inScope repeats a scope that is not the usual one, for a command to try.
func inScope(scope string) string {
	if scope == "space" {
		return ""
	}
	return " --scope " + scope
}

// secretOf is a value from the command line, from a file (@FILE), or typed (-).
func (c *cmd) secretOf(ctx context.Context, given, what string) (string, error) {
	if file, ok := strings.CutPrefix(given, "@"); ok {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fault.New(fault.Invalid, "", "cannot read %s", file).WithTry("name a readable file").WithCause(err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	if given != "-" {
		return given, nil
	}
	_, person := c.person()
	text, err := c.password(ctx, what+": ", !person, "")
	return strings.TrimSpace(text), err
}

func (c *cmd) testReceiver() *cobra.Command {
	scope := ""
	return scoped(&cobra.Command{
		Use: "test NAME", Short: "Send a test message and show what the receiver said", Args: exactly("NAME"), ValidArgsFunction: c.completeReceiver,
		RunE: func(cc *cobra.Command, args []string) error {
			cl, at, err := c.scope(scope)
			if err != nil {
				return err
			}
			t, err := cl.TestReceiver(cc.Context(), at, args[0])
			if err != nil {
				return err
			}
			if !t.Took {
				if c.screen.json {
					if err := c.screen.data(t); err != nil {
						return err
					}
				}
				return fault.New(fault.Unavailable, "", "%s did not take the message: %s", args[0], t.Said).WithTry("naru deliveries%s", inScope(scope))
			}
			return c.screen.done(t, "%s took the message in %s: %s", args[0], took(t.In), tame(t.Said))
		},
	}, &scope)
}

func (c *cmd) deleteReceiver() *cobra.Command {
	scope := ""
	return scoped(&cobra.Command{
		Use: "delete NAME", Short: "Tell somebody nothing any more", Args: exactly("NAME"), ValidArgsFunction: c.completeReceiver,
		RunE: func(cc *cobra.Command, args []string) error {
			cl, at, err := c.scope(scope)
			if err != nil {
				return err
			}
			if err := cl.DeleteReceiver(cc.Context(), at, args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "%s is told nothing any more", args[0])
		},
	}, &scope)
}

func (c *cmd) silences() *cobra.Command {
	scope := ""
	show := func(cc *cobra.Command, _ []string) error {
		cl, at, err := c.scope(scope)
		if err != nil {
			return err
		}
		all, err := cl.Silences(cc.Context(), at)
		if err != nil {
			return err
		}
		return list(c.screen, all, "no silences: people are told of all alerts", []string{"ID", "SCOPE", "ALERTS WITH", "ENDS IN", "BY", "REASON"}, func(x client.Silence) []string {
			return []string{x.ID, x.Scope, strings.Join(x.Matchers, ", "), max(0, time.Until(x.To)).Round(time.Second).String(), x.By, x.Reason}
		})
	}
	return c.family(scoped(&cobra.Command{
		Use:     "silences [COMMAND]",
		Aliases: []string{"silence"},
		Short:   "List which alerts are held back; hold some back for a while",
		RunE:    show,
	}, &scope), scoped(&cobra.Command{
		Use: "list", Short: "List the silences that are not over, also those of the organisation and the platform", Args: exactly(), RunE: show,
	}, &scope), c.addSilence(), c.endSilence())
}

func (c *cmd) addSilence() *cobra.Command {
	var in client.NewSilence
	var scope, length string
	command := &cobra.Command{
		Use:   "add",
		Short: "Hold back alerts for a while",
		Long: `All of its matchers must match an alert. Its labels are alertname and objective (the name of the objective), severity, app,
space and org. The end of what people were told before is told all the same.`,
		Example: `  naru silence add --match app=shop --for 2h --reason 'the disk is being replaced'
  naru silence add --match 'objective=~checkout.*' --match severity=ticket --for 1d --reason 'known, shop-211'`,
		Args: exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			if len(in.Matchers) == 0 || length == "" || in.Reason == "" {
				return misused(cc, "say which alerts, for how long and why: --match, --for and --reason")
			}
			d, err := app.ParseDays(length)
			if err != nil {
				return fault.New(fault.Invalid, "for", "%s", err).WithTry("--for 2h")
			}
			in.For = client.Duration(d)
			cl, at, err := c.scope(scope)
			if err != nil {
				return err
			}
			x, err := cl.AddSilence(cc.Context(), at, in)
			if err != nil {
				return err
			}
			return c.screen.done(x, "nobody is told of alerts with %s until %s; end it earlier: naru silence end %s%s",
				strings.Join(x.Matchers, " and "), x.To.Local().Format(time.DateTime), x.ID, inScope(scope))
		},
	}
	f := command.Flags()
	f.StringArrayVar(&in.Matchers, "match", nil, "LABEL=VALUE, LABEL!=VALUE, LABEL=~PATTERN or LABEL!~PATTERN; may be repeated")
	f.StringVar(&length, "for", "", "how long: 2h, 1d; at most 31d")
	f.StringVar(&in.Reason, "reason", "", "what who is on call next has to know")
	return scoped(command, &scope)
}

func (c *cmd) endSilence() *cobra.Command {
	scope := ""
	return scoped(&cobra.Command{
		Use: "end ID", Short: "End a silence now", Args: exactly("ID"), ValidArgsFunction: c.completeSilence,
		RunE: func(cc *cobra.Command, args []string) error {
			cl, at, err := c.scope(scope)
			if err != nil {
				return err
			}
			if err := cl.EndSilence(cc.Context(), at, args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "people are told of these alerts again")
		},
	}, &scope)
}

func (c *cmd) deliveries() *cobra.Command {
	var scope string
	var limit int
	command := &cobra.Command{
		Use:   "deliveries",
		Short: "Show what receivers of alerts were told, newest first",
		Args:  exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, at, err := c.scope(scope)
			if err != nil {
				return err
			}
			all, err := cl.Deliveries(cc.Context(), at, client.Page{Limit: limit})
			if err != nil {
				return err
			}
			return list(c.screen, all.Items, "nobody was told anything yet", []string{"WHEN", "RECEIVER", "MESSAGE", "ALERTS", "TRY", "TOOK", "CAME OF IT"}, func(d client.Delivery) []string {
				came := c.screen.paint(good, "arrived")
				switch {
				case d.Final:
					came = c.screen.paint(bad, "refused: "+tame(d.Error))
				case d.Error != "":
					came = c.screen.paint(warn, "tried again: "+tame(d.Error))
				}
				return []string{age(d.Time) + " ago", d.Receiver, d.Title, strconv.Itoa(d.Alerts), strconv.Itoa(d.Try), took(d.Took), came}
			})
		},
	}
	command.Flags().IntVarP(&limit, "limit", "n", 50, "entries at most")
	return scoped(command, &scope)
}

// completeReceiver names the receivers of the scope.
func (c *cmd) completeReceiver(cc *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return c.completeIn(cc, args, func(ctx context.Context, cl *client.Client, at client.Scope, scope string) (names []string) {
		all, err := cl.Receivers(ctx, at)
		if err != nil {
			return nil
		}
		for _, r := range all {
			if r.Scope == scope {
				names = append(names, r.Name+"\t"+r.To)
			}
		}
		return names
	})
}

// completeSilence names the silences of the scope.
func (c *cmd) completeSilence(cc *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return c.completeIn(cc, args, func(ctx context.Context, cl *client.Client, at client.Scope, scope string) (names []string) {
		all, err := cl.Silences(ctx, at)
		if err != nil {
			return nil
		}
		for _, x := range all {
			if x.Scope == scope {
				names = append(names, x.ID+"\t"+strings.Join(x.Matchers, ", "))
			}
		}
		return names
	})
}

func (c *cmd) completeIn(cc *cobra.Command, args []string, names func(context.Context, *client.Client, client.Scope, string) []string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c.screen, c.patience = newScreen(c.world, true, true), -1
	scope, err := cc.Flags().GetString("scope")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cl, at, err := c.scope(scope)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cc.Context(), completionTime)
	defer cancel()
	return names(ctx, cl, at, scope), cobra.ShellCompDirectiveNoFileComp
}
