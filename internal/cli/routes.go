package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/app/manifest"
	"naru/internal/client"
	"naru/internal/client/rule"
)

func (c *cmd) routes() *cobra.Command {
	var sel selectFlags
	command := &cobra.Command{
		Use:     "routes [APP]",
		Short:   "List the routes of the space, or of an app",
		Example: "  naru routes\n  naru routes shop\n  naru routes -l public",
		Args:    between("[APP]"),
		RunE: func(cc *cobra.Command, args []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			var routes []client.Route
			if len(args) == 1 {
				routes, err = s.App(args[0]).Routes(cc.Context(), sel.selector)
			} else {
				routes, err = narrowed(cc.Context(), sel, s.Routes)
			}
			if err != nil {
				return err
			}
			return selectedList(c.screen, sel, routes, "no routes yet; map one: naru map-route APP HOST", []string{"ROUTE", "TO", "ONLY FOR", "RULES", "URL"}, func(r client.Route) []string {
				return []string{placeOf(r), destinations(r), dash(rule.WhenText(r.When)), dash(ruleNames(r)), r.URL}
			}, func(r client.Route) map[string]string { return r.Labels })
		},
	}
	sel.register(command)
	return command
}

func destinations(r client.Route) string {
	parts := make([]string, 0, len(r.Destinations))
	for _, d := range r.Destinations {
		text := d.App
		if d.Process != "" && d.Process != "web" {
			text += "/" + d.Process
		}
		if d.Port > 0 {
			text += fmt.Sprintf(":%d", d.Port)
		}
		if d.Protocol != "" {
			text += " " + d.Protocol
		}
		if d.Weight > 0 {
			text += fmt.Sprintf(" %d%%", d.Weight)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func (c *cmd) mapRoute() *cobra.Command {
	var in client.NewRoute
	var only whenFlags
	var stream tcpFlags
	command := &cobra.Command{
		Use:   "map-route APP [HOST[/PATH]]",
		Short: "Let an app answer at a host and path, or at a port",
		Long: `Lets an app answer at a host and, where one is given, below a path. A host of one word is one below the apps domain.

With --method, --header or --cookie it answers only requests that are like that; others go to the route of the same host
and path without a condition. Of several routes that want a request the one with more conditions gets it.

With --tcp it answers connections of any protocol, at a port of the gateway; with --sni those to the gateway's TLS address
that ask for a name, and shows its own certificate.`,
		Example: `  naru map-route my-shop shop.example.com
  naru map-route my-shop www/cart
  naru map-route my-shop admin --process admin
  naru map-route my-prices prices --protocol http2
  naru map-route my-next-shop shop.example.com --header X-Beta=1
  naru map-route my-db --tcp --port 20005
  naru map-route my-mail --sni mail.example.com --proxy v2`,
		Args: between("APP", "[HOST[/PATH]]"),
		RunE: func(cc *cobra.Command, args []string) error {
			app, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			if err := stream.into(cc, &in, args[1:]); err != nil {
				return err
			}
			if in.When, err = only.when(); err != nil {
				return err
			}
			r, err := app.MapRoute(cc.Context(), in)
			if err != nil {
				return err
			}
			if r.When != nil {
				return c.screen.done(r, "%s answers at %s, only for %s", args[0], r.URL, rule.WhenText(r.When))
			}
			return c.screen.done(r, "%s answers at %s", args[0], r.URL)
		},
	}
	f := command.Flags()
	f.StringVar(&in.Process, "process", "", "process type that answers (default web)")
	f.IntVar(&in.Port, "port", 0, "port at which it does (default: the port of the process); with --tcp the gateway's (default: a free one)")
	f.StringVar(&in.Protocol, "protocol", "", "what the app speaks: http2 for HTTP/2 without TLS, as gRPC needs it (default HTTP/1.1)")
	f.IntVar(&in.Weight, "weight", 0, "share of the requests, where a route has several apps")
	stream.register(f)
	only.register(f)
	return command
}

func (c *cmd) unmapRoute() *cobra.Command {
	var only whenFlags
	command := &cobra.Command{
		Use:     "unmap-route APP HOST[/PATH]",
		Short:   "Let an app no longer answer at a host and path, or at a port",
		Example: "  naru unmap-route my-shop shop.example.com\n  naru unmap-route my-db tcp:20005\n  naru unmap-route my-mail sni:mail.example.com",
		Args:    exactly("APP", "HOST[/PATH]"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			name, err := only.named(cc.Context(), cl, args[1])
			if err != nil {
				return err
			}
			if err := cl.In(t.Org, t.Space).App(args[0]).UnmapRoute(cc.Context(), name); err != nil {
				return err
			}
			return c.screen.done(nil, "%s no longer answers at %s", args[0], name)
		},
	}
	only.register(command.Flags())
	return command
}

// hostAndPath reads HOST/PATH, also where it was copied from a browser.
func hostAndPath(text string) (host, path string, err error) { return manifest.HostAndPath(text) }

// wholeHost puts a host of one word below the apps domain.
func wholeHost(ctx context.Context, cl *client.Client, host string) (string, error) {
	if strings.Contains(host, ".") {
		return host, nil
	}
	info, err := cl.Info(ctx)
	if err != nil {
		return "", err
	}
	return host + "." + info.AppsDomain, nil
}
