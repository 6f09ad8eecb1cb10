package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"naru/internal/client"
	"naru/internal/fault"
)

// serverGroup are the commands on one server group.
func (c *cmd) serverGroup() *cobra.Command {
	command := &cobra.Command{
		Use: "group", Short: "Make, enable, disable, resize, clone or destroy a server group",
		Long: `A server group is the instances of one process type of one release. Rollouts make and remove them; these commands
are for whoever wants to do it by hand. What would take away the last healthy instances that carry traffic is refused,
unless it is said twice: --force.`,
		Example: "  naru group disable my-shop my-shop-v007\n  naru group clone my-shop my-shop-v007 --size 1",
		Args:    misusedGroup,
		RunE:    func(cc *cobra.Command, _ []string) error { return cc.Help() },
	}
	var force bool
	forced := func(one *cobra.Command) *cobra.Command {
		one.Flags().BoolVar(&force, "force", false, "also when no healthy instance that takes traffic is left")
		return one
	}
	var size int
	sized := func(one *cobra.Command, doc string) *cobra.Command {
		one.Flags().IntVarP(&size, "size", "n", -1, doc)
		return one
	}
	given := func() *int {
		if size < 0 {
			return nil
		}
		return &size
	}
	var release, process string
	create := sized(c.act("create APP", "Make a group of a release, without traffic", exactly("APP"), func(ctx context.Context, in *client.InApp, _ []string) (client.Operation, error) {
		return in.CreateGroup(ctx, client.NewGroup{Release: release, Process: process, Size: given()})
	}), "instances (default: as many as the app is to have)")
	create.Flags().StringVar(&release, "release", "", "v3 (default: the current one)")
	create.Flags().StringVar(&process, "process", "", "process type (default: web)")
	command.AddCommand(
		create,
		c.act("enable APP GROUP", "Let a group take its part of the traffic", exactly("APP", "GROUP"), func(ctx context.Context, in *client.InApp, args []string) (client.Operation, error) {
			return in.EnableGroup(ctx, args[0])
		}),
		forced(c.act("disable APP GROUP", "Take a group's traffic away; its instances go on", exactly("APP", "GROUP"), func(ctx context.Context, in *client.InApp, args []string) (client.Operation, error) {
			return in.DisableGroup(ctx, args[0], force)
		})),
		forced(c.act("resize APP GROUP N", "Change how many instances a group has", exactly("APP", "GROUP", "N"), func(ctx context.Context, in *client.InApp, args []string) (client.Operation, error) {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 0 {
				return client.Operation{}, fault.New(fault.Invalid, "N", "%q is not a number of instances", args[1])
			}
			return in.ResizeGroup(ctx, args[0], n, force)
		})),
		sized(c.act("clone APP GROUP", "Make a group of the same release, without traffic", exactly("APP", "GROUP"), func(ctx context.Context, in *client.InApp, args []string) (client.Operation, error) {
			return in.CloneGroup(ctx, args[0], given())
		}), "instances (default: as many as the group has)"),
		forced(c.act("destroy APP GROUP", "Take a group's instances away and remove it", exactly("APP", "GROUP"), func(ctx context.Context, in *client.InApp, args []string) (client.Operation, error) {
			return in.DestroyGroup(ctx, args[0], force)
		})),
	)
	return command
}

// misusedGroup refuses a verb that is not there.
func misusedGroup(cc *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return misused(cc, "naru group has no %q", args[0])
}
