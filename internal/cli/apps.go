package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/size"
)

func (c *cmd) apps() *cobra.Command {
	var sel selectFlags
	command := &cobra.Command{
		Use:     "apps",
		Short:   "List the apps of the space",
		Example: "  naru apps\n  naru apps -l team=checkout,stage!=test --show-labels",
		Args:    exactly(),
		RunE: func(cc *cobra.Command, _ []string) error {
			s, err := c.space()
			if err != nil {
				return err
			}
			apps, err := narrowed(cc.Context(), sel, s.Apps)
			if err != nil {
				return err
			}
			return selectedList(c.screen, sel, apps, "no apps yet; push one: cd my-app && naru push",
				[]string{"NAME", "STATE", "INSTANCES", "RELEASE", "URL"}, func(a client.App) []string {
					return []string{a.Name, c.screen.health(a.Health), instances(a), numbered(a.Release), a.URL}
				}, func(a client.App) map[string]string { return a.Labels })
		},
	}
	sel.register(command)
	return command
}

func instances(a client.App) string {
	var parts []string
	for _, p := range a.Processes {
		if p.Want > 0 || p.Healthy > 0 || p.Type == "web" {
			parts = append(parts, fmt.Sprintf("%s %d/%d", p.Type, p.Healthy, p.Want))
		}
	}
	return strings.Join(parts, " ")
}

func numbered(n int) string {
	if n == 0 {
		return "-"
	}
	return "v" + strconv.Itoa(n)
}

func (c *cmd) app() *cobra.Command {
	return &cobra.Command{
		Use:   "app APP",
		Short: "Show an app: release, instances, routes, what they use",
		Args:  exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			d, err := in.Get(cc.Context())
			if err != nil {
				return err
			}
			if c.screen.json {
				return c.screen.data(d)
			}
			usage, err := in.Stats(cc.Context())
			if err != nil {
				return err
			}
			c.showApp(d, usage)
			return nil
		},
	}
}

func (c *cmd) showApp(d client.AppDetail, usage []client.Usage) {
	s := c.screen
	s.say("%s  %s", s.paint(strong, d.Name), s.health(d.Health))
	if r := d.Current; r != nil {
		s.say("release   %s by %s, %s ago (%s)", r.Name, r.By, age(r.CreatedAt), r.Reason)
		s.say("image     %s", r.Image)
	}
	for _, r := range d.Routes {
		s.say("route     %s", r.URL)
	}
	if len(d.Labels) > 0 {
		s.say("labels    %s", labelText(d.Labels))
	}
	if p := d.Problem; p != nil {
		s.say("problem   %s", s.paint(bad, p.Message))
		if p.Try != "" {
			s.say("try       %s", p.Try)
		}
	}
	used := map[string]client.Usage{}
	for _, u := range usage {
		used[u.Instance] = u
	}
	for _, g := range d.Groups {
		if g.Want == 0 && len(g.Instances) == 0 {
			continue
		}
		s.say("")
		text := fmt.Sprintf("%s  %s, release v%d, %d wanted", s.paint(strong, g.Name), g.Process, g.Release, g.Want)
		if g.Traffic != nil {
			text += ", " + lastMinute(g.Traffic)
		}
		s.say("%s", text)
		var rows [][]string
		for _, i := range g.Instances {
			u := used[i.ID]
			row := []string{"  #" + strconv.Itoa(i.Index), s.health(i.State), age(i.Since), strconv.Itoa(i.Restarts), "-", "-", ""}
			if u.Instance != "" {
				row[4], row[5] = memory(u), size.Text(u.DiskBytes)
			}
			if i.LastExit != nil && (i.State == "crashed" || i.Restarts > 0) {
				row[6] = s.paint(bad, i.LastExit.Reason)
			}
			rows = append(rows, row)
		}
		_ = s.table(nil, []string{"  #", "STATE", "SINCE", "RESTARTS", "MEMORY", "DISK", "LAST EXIT"}, rows) // a closed pipe ends the program anyway
	}
}
