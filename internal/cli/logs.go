package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

func (c *cmd) logs() *cobra.Command {
	q := client.LogQuery{Instance: -1}
	var since, until, trace string
	command := &cobra.Command{
		Use:   "logs APP",
		Short: "Show what an app says, and follow it with -f",
		Args:  exactly("APP"),
		RunE: func(cc *cobra.Command, args []string) error {
			in, err := c.inApp(args[0])
			if err != nil {
				return err
			}
			if q.Since, q.Until, err = spanOf(since, until, time.Now()); err != nil {
				return err
			}
			if trace != "" {
				if q.Search, err = ofTrace(trace, q.Search); err != nil {
					return err
				}
			}
			for l, err := range in.Logs(cc.Context(), q) {
				if err != nil {
					return err
				}
				c.screen.answered()
				if c.screen.json {
					if err := c.screen.line(l); err != nil {
						return err
					}
					continue
				}
				if l.Note != "" {
					c.screen.warn(l.Note)
					continue
				}
				c.showLine(l)
			}
			return nil
		},
	}
	f := command.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on as lines come")
	f.IntVarP(&q.Tail, "tail", "n", 0, "how many of the last lines first (default 100)")
	f.StringVar(&since, "since", "", "only lines of the last 10m, 1h, ..., or since a time such as 2026-11-21T16:00:00Z")
	f.StringVar(&until, "until", "", "only lines older than 5m, 1h, ..., or than a time")
	f.StringVar(&q.Search, "search", "", `only lines that hold this: 'timeout NOT retry', '"connection reset"', 'status>=500'`)
	f.StringVar(&trace, "trace", "", "only lines that name this trace")
	f.StringVar(&q.Process, "process", "", "only this process type")
	f.IntVarP(&q.Instance, "instance", "i", -1, "only the instance with this index")
	f.StringVar(&q.Source, "source", "", "only APP, TASK, STG (builds), RTR (gateway) or NARU")
	return command
}

// spanOf reads --since and --until, each a time or how long ago; the zero time where
// none is named.
func spanOf(since, until string, now time.Time) (from, to time.Time, err error) {
	for _, one := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", since, &from}, {"--until", until, &to}} {
		at, err := moment(one.flag, one.text, now)
		if err != nil {
			return from, to, err
		}
		if at != nil {
			*one.to = *at
		}
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, fault.New(fault.Invalid, "--until", "that is before --since").WithTry("--since 2h --until 1h")
	}
	return from, to, nil
}

// ofTrace is a search for lines that name a trace, beside what else is searched
// for. Zipkin's libraries write ids of 64 bits without the zeros in front.
func ofTrace(id, others string) (string, error) {
	id = strings.ToLower(strings.TrimSpace(id))
	if strings.Trim(id, "0123456789abcdef") != "" || len(id) != 16 && len(id) != 32 {
		return "", fault.New(fault.Invalid, "trace", "%q is not the id of a trace", id).WithTry("16 or 32 hexadecimal digits, as naru traces shows them")
	}
	search := id
	if short, ok := strings.CutPrefix(id, strings.Repeat("0", 16)); ok {
		search = "(" + id + " OR " + short + ")"
	}
	if others != "" {
		search += " AND (" + others + ")"
	}
	return search, nil
}

func (c *cmd) showLine(l client.LogLine) {
	who := l.Source
	if l.Process != "" {
		who = fmt.Sprintf("%s/%d", l.Process, l.Index)
	}
	text := l.Text
	if c.screen.terminal {
		text = tame(text)
	}
	if l.Dropped > 0 {
		text = c.screen.paint(warn, text)
	} else if l.Stream == "stderr" {
		text = c.screen.paint(bad, text)
	}
	c.screen.say("%s %s %s", c.screen.paint(faint, l.Time.Local().Format("15:04:05.000")), c.screen.paint(strong, fmt.Sprintf("%-9s", who)), text)
}
