package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/size"
)

// quotaKeys are what a quota limits, in the order in which it is shown.
var quotaKeys = []string{
	"memory", "process_memory", "instances", "log_rate", "app_tasks", "routes", "ports", "services", "service_keys", "domains", "paid_services",
}

func (c *cmd) quota() *cobra.Command {
	var ofSpaces bool
	command := c.family(&cobra.Command{
		Use: "quota [COMMAND]", Short: "Limit what organisations and spaces may have", Args: exactly(),
		Long: `A quota is a named set of limits. Every organisation has one, "default" until it is given another; a space may have one
beside its organisation's. Limits are ` + strings.Join(quotaKeys, ", ") + `: memory is a size (4G), log_rate bytes per
second; none takes a limit away, 0 allows nothing. What is there already stays; what would be more is refused.
Without COMMAND: the quotas that hold where commands go, and what is used of them.`,
		Example: "  naru quota\n  naru quota create small memory=4G routes=20\n  naru quota assign small acme\n  naru quota set small instances=50 routes=none",
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			q, err := cl.OrgQuota(cc.Context(), t.Org)
			if err != nil {
				return err
			}
			held, places := []client.Quota{q}, []string{t.Org}
			own, err := cl.In(t.Org, t.Space).Quota(cc.Context())
			switch {
			case err == nil:
				held, places = append(held, own), append(places, t.Org+"/"+t.Space)
			case !fault.Is(err, fault.NotFound):
				return err
			}
			return c.showQuotas(held, places)
		},
	}, c.quotaCreate(&ofSpaces), c.quotaSet(&ofSpaces), c.quotaDelete(&ofSpaces), c.quotaAssign(&ofSpaces), c.quotaUnassign())
	command.PersistentFlags().BoolVar(&ofSpaces, "space-quota", false, "of the spaces of the organisation (-o), not of organisations")
	return command
}

func (c *cmd) quotas() *cobra.Command {
	var ofSpaces bool
	command := &cobra.Command{
		Use: "quotas", Short: "List quotas and who has them", Args: exactly(),
		Example: "  naru quotas\n  naru quotas --space-quotas -o acme",
		RunE: func(cc *cobra.Command, _ []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			all, err := cl.Quotas(cc.Context(), quotaOrg(ofSpaces, t.Org))
			if err != nil {
				return err
			}
			return list(c.screen, all, "no quotas of spaces", []string{"QUOTA", "LIMITS", "OF"}, func(q client.Quota) []string {
				return []string{q.Name, limitsText(q.Limits), dash(strings.Join(q.Holders, ", "))}
			})
		},
	}
	command.Flags().BoolVar(&ofSpaces, "space-quotas", false, "those of the spaces of the organisation (-o)")
	return command
}

// quotaOrg is the organisation whose spaces a quota is for; "": organisations.
func quotaOrg(ofSpaces bool, org string) string {
	if ofSpaces {
		return org
	}
	return ""
}

func limitsText(limits map[string]int) string {
	var parts []string
	for _, key := range quotaKeys {
		if n, ok := limits[key]; ok {
			parts = append(parts, key+"="+limitText(key, n))
		}
	}
	if len(parts) == 0 {
		return "nothing is limited"
	}
	return strings.Join(parts, " ")
}

func limitText(key string, n int) string {
	switch key {
	case "memory", "process_memory":
		return size.Text(int64(n) << 20)
	case "log_rate":
		return size.Text(int64(n)) + "/s"
	}
	return strconv.Itoa(n)
}

func (c *cmd) showQuotas(held []client.Quota, places []string) error {
	var rows [][]string
	for i, q := range held {
		for _, key := range quotaKeys {
			used, known := q.Used[key]
			limit, limited := q.Limits[key]
			if !known && !limited {
				continue
			}
			row := []string{places[i], q.Name, key, "-", "-"}
			if known {
				row[3] = limitText(key, used)
			}
			if limited {
				row[4] = limitText(key, limit)
			}
			rows = append(rows, row)
		}
	}
	return c.screen.table(held, []string{"PLACE", "QUOTA", "OF", "USED", "LIMIT"}, rows)
}

// limitsOf reads KEY=VALUE; "none" is nil.
func limitsOf(args []string) (map[string]*int, error) {
	out := map[string]*int{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || !slices.Contains(quotaKeys, key) {
			return nil, fault.New(fault.Invalid, key, "%q limits nothing that a quota knows", arg).WithTry("KEY=VALUE with one of %s", strings.Join(quotaKeys, ", "))
		}
		if value == "none" || value == "-1" || value == "unlimited" {
			out[key] = nil
			continue
		}
		n, err := limitOf(key, value)
		if err != nil {
			return nil, err
		}
		out[key] = &n
	}
	return out, nil
}

func limitOf(key, value string) (int, error) {
	if (key == "memory" || key == "process_memory") && value != "0" {
		return mebibytes(key, value)
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, key, "%q is no number", value).WithTry("%s=10, %s=none", key, key)
	}
	return n, nil
}

func (c *cmd) quotaCreate(ofSpaces *bool) *cobra.Command {
	return &cobra.Command{
		Use: "create QUOTA [KEY=VALUE...]", Short: "Make a quota", Args: minimum(1, "QUOTA"), ValidArgsFunction: completeQuotaKeys,
		Example: "  naru quota create small memory=4G routes=20\n  naru quota create team instances=10 --space-quota -o acme",
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			given, err := limitsOf(args[1:])
			if err != nil {
				return err
			}
			in := client.NewQuota{Name: args[0], Limits: map[string]int{}}
			for key, n := range given {
				if n != nil {
					in.Limits[key] = *n
				}
			}
			q, err := cl.CreateQuota(cc.Context(), quotaOrg(*ofSpaces, t.Org), in)
			if err != nil {
				return err
			}
			return c.screen.done(q, "%s: %s", q.Name, limitsText(q.Limits))
		},
	}
}

func (c *cmd) quotaSet(ofSpaces *bool) *cobra.Command {
	rename := ""
	command := &cobra.Command{
		Use: "set QUOTA [KEY=VALUE...]", Short: "Change the limits of a quota", Args: minimum(1, "QUOTA"), ValidArgsFunction: completeQuotaKeys,
		Example: "  naru quota set small memory=8G routes=none\n  naru quota set small --name tiny",
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			limits, err := limitsOf(args[1:])
			if err != nil {
				return err
			}
			if len(limits) == 0 && rename == "" {
				return fault.New(fault.Invalid, "", "there is nothing to change").WithTry("naru quota set %s memory=8G", args[0])
			}
			q, err := cl.ChangeQuota(cc.Context(), quotaOrg(*ofSpaces, t.Org), args[0], client.QuotaChange{Name: rename, Limits: limits})
			if err != nil {
				return err
			}
			return c.screen.done(q, "%s: %s", q.Name, limitsText(q.Limits))
		},
	}
	command.Flags().StringVar(&rename, "name", "", "another name for it")
	return command
}

func (c *cmd) quotaDelete(ofSpaces *bool) *cobra.Command {
	return &cobra.Command{
		Use: "delete QUOTA", Short: "Delete a quota that no organisation has", Args: exactly("QUOTA"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			if err := cl.DeleteQuota(cc.Context(), quotaOrg(*ofSpaces, t.Org), args[0]); err != nil {
				return err
			}
			return c.screen.done(nil, "the quota %s is deleted", args[0])
		},
	}
}

func (c *cmd) quotaAssign(ofSpaces *bool) *cobra.Command {
	return &cobra.Command{
		Use: "assign QUOTA PLACE", Short: "Give an organisation a quota, or with --space-quota a space", Args: exactly("QUOTA", "PLACE"),
		Example: "  naru quota assign small acme\n  naru quota assign team production --space-quota -o acme",
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			where := args[1]
			if *ofSpaces {
				where, err = fmt.Sprintf("%s/%s", t.Org, args[1]), cl.In(t.Org, args[1]).AssignQuota(cc.Context(), args[0])
			} else {
				err = cl.AssignOrgQuota(cc.Context(), args[1], args[0])
			}
			if err != nil {
				return err
			}
			return c.screen.done(nil, "%s has the quota %s", where, args[0])
		},
	}
}

func (c *cmd) quotaUnassign() *cobra.Command {
	return &cobra.Command{
		Use: "unassign SPACE", Short: "Leave a space without a quota of its own", Args: exactly("SPACE"),
		RunE: func(cc *cobra.Command, args []string) error {
			cl, t, err := c.connect()
			if err != nil {
				return err
			}
			if err := cl.In(t.Org, args[0]).UnassignQuota(cc.Context()); err != nil {
				return err
			}
			return c.screen.done(nil, "%s/%s has its organisation's quota alone", t.Org, args[0])
		},
	}
}

// completeQuotaKeys completes what a quota limits.
func completeQuotaKeys(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	left := map[string]bool{}
	for _, key := range quotaKeys {
		left[key+"="] = true
	}
	for _, arg := range args[1:] {
		key, _, _ := strings.Cut(arg, "=")
		delete(left, key+"=")
	}
	return slices.Sorted(maps.Keys(left)), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
