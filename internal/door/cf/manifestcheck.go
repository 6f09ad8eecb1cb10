package cf

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"naru/internal/pipeline/deliver"
	"naru/internal/route"
)

// checkBuild refuses buildpacks and stacks that nobody has.
func (d *Door) checkBuild(c *call, check *complaints, packs []string, stack *string) error {
	if len(packs) > 0 {
		known, err := d.buildpacks(c)
		if err != nil {
			return err
		}
		for _, name := range packs {
			if !slices.ContainsFunc(known, func(i item) bool { return i.name == name }) && !systemPack.MatchString(name) && !gitURL.MatchString(name) {
				check.bad("%s", noBuildpack(name, each(known, func(i item) string { return i.name })))
			}
		}
	}
	if stack == nil || strings.HasPrefix(*stack, "cflinuxfs") {
		return nil
	}
	stacks, err := d.stacks(c)
	if err == nil && !slices.ContainsFunc(stacks, func(i item) bool { return i.name == *stack }) {
		check.bad("Stack must be an existing stack ('%s'): leave it out, or take one of cf stacks", *stack)
	}
	return err
}

var (
	// The buildpacks that every Cloud Foundry has; which of naru's builders stands for
	// one of them is the manifest's affair.
	systemPack = regexp.MustCompile(`^[a-z_]+_buildpack(_offline)?$`)
	gitURL     = regexp.MustCompile(`^(https?|git|ssh)://\S+$|^git@\S+$`)
)

// checkServices refuses those that are not there.
func (d *Door) checkServices(ctx context.Context, check *complaints, p place, all []deliver.Binding) error {
	have, err := d.Bindables.ServiceNames(ctx, p.space.ID)
	if err != nil {
		return err
	}
	for _, b := range all {
		if !slices.Contains(have, b.Service) {
			check.bad("Service instance '%s' not found", b.Service)
			check.all[len(check.all)-1].status = http.StatusNotFound
			check.all[len(check.all)-1].Code, check.all[len(check.all)-1].Title = notFound.Code, notFound.Title
		}
	}
	return nil
}

// checkRoutes refuses routes of other spaces, and finds the host that an app gets
// by itself.
func (d *Door) checkRoutes(c *call, check *complaints, p place, t *target) error {
	for _, r := range t.Routes {
		in, err := r.New()
		if err != nil || in.TCP != nil {
			continue
		}
		at := in.Host
		if !strings.Contains(at, ".") {
			at += "." + d.cfg.AppsDomain
		}
		where, ok, err := d.domainOf(c, p, at)
		if err != nil {
			return err
		}
		if !ok {
			check.bad("No domains exist for route %s", r.Name)
			continue
		}
		others, err := d.Routes.RoutesAt(c.ctx(), strings.ToLower(at), in.Path)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(others, func(o route.Route) bool { return o.Space != p.space.ID }) {
			check.bad("Routes cannot be mapped to destinations in different spaces")
		}
		if len(others) == 0 && strings.HasPrefix(at, "*.") && where.org == "" {
			check.bad("%s", notAuthorized.Detail)
		}
	}
	if t.NoRoute || len(t.Routes) > 0 || !t.RandomRoute && !t.defaultRoute {
		return nil
	}
	if t.have.ID != "" {
		routes, err := d.Routes.RoutesOf(c.ctx(), t.have.ID)
		if err != nil || len(routes) > 0 {
			return err
		}
	}
	host := strings.ReplaceAll(strings.ToLower(t.Name), "_", "-")
	if t.RandomRoute {
		host = randomHost(host)
	}
	if !hostForm.MatchString(host) {
		check.bad("Failed to create default route from app name: Host must be either \"*\" or contain only alphanumeric characters, \"_\", or \"-\"")
	} else if len(host) > 63 {
		check.bad("Failed to create default route from app name: Host cannot exceed 63 characters")
	}
	t.host = host
	return nil
}

// domainOf is the domain that a host is in, of those that an organisation has.
func (d *Door) domainOf(c *call, p place, host string) (domain, bool, error) {
	in := func(name string) bool { return host == name || strings.HasSuffix(host, "."+name) }
	if host = strings.ToLower(strings.TrimSuffix(host, ".")); in(d.cfg.AppsDomain) && !strings.HasPrefix(host, "*.") {
		return domain{name: d.cfg.AppsDomain}, true, nil
	}
	all, err := d.domains(c)
	all = slices.DeleteFunc(all, func(one domain) bool {
		return one.tcp || !in(one.name) || one.org != "" && one.org != p.org.ID && !slices.Contains(one.shared, p.org.ID)
	})
	if err != nil || len(all) == 0 {
		return domain{}, false, err
	}
	return slices.MaxFunc(all, func(a, b domain) int { return cmp.Compare(len(a.name), len(b.name)) }), true, nil
}

var hostForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// randomHost is a host that nobody else has, and that people can say.
func randomHost(name string) string {
	adjectives := []string{"brave", "bright", "calm", "clever", "fond", "glad", "kind", "lively", "merry", "noble", "quick", "quiet", "sunny", "swift", "wise", "witty"}
	nouns := []string{"badger", "crane", "dolphin", "falcon", "fox", "heron", "koala", "lynx", "otter", "panda", "raven", "robin", "seal", "tiger", "whale", "wren"}
	letters := func() rune { return 'a' + rune(rand.IntN(26)) }                                                                    //nolint:gosec // no secret
	tail := fmt.Sprintf("-%s-%s-%c%c", adjectives[rand.IntN(len(adjectives))], nouns[rand.IntN(len(nouns))], letters(), letters()) //nolint:gosec // likewise
	return strings.TrimRight(name[:min(len(name), 63-len(tail))], "-") + tail
}
