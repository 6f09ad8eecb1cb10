package cf

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
)

// keyed is a value of a map that keeps its order.
type keyed struct {
	key   string
	value any
}

// ordered is a map as it is to be written.
type ordered []keyed

// MarshalYAML writes the keys in their order.
func (o ordered) MarshalYAML() (any, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range o {
		var v yaml.Node
		if err := v.Encode(k.value); err != nil {
			return nil, err
		}
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: k.key}, &v)
	}
	return out, nil
}

// plain is the map without its order, all of it.
func (o ordered) plain() map[string]any {
	out := map[string]any{}
	for _, k := range o {
		out[k.key] = unordered(k.value)
	}
	return out
}

func unordered(v any) any {
	switch v := v.(type) {
	case ordered:
		return v.plain()
	case []ordered:
		return each(v, func(o ordered) any { return o.plain() })
	case []any:
		return each(v, unordered)
	case []string:
		return each(v, func(s string) any { return s })
	case map[string]string:
		out := map[string]any{}
		for k, s := range v {
			out[k] = s
		}
		return out
	}
	return v
}

// generated is the manifest that an app would be pushed with.
func (d *Door) generated(c *call, a shownApp) (ordered, error) {
	out := ordered{{"name", a.Name}}
	if a.docker() {
		from, err := d.imported(c, a.App)
		if err != nil {
			return nil, err
		}
		out = append(out, from)
	} else {
		if a.Build.Stack != "" {
			out = append(out, keyed{"stack", a.Build.Stack})
		}
		if len(a.Build.Buildpacks) > 0 {
			out = append(out, keyed{"buildpacks", a.Build.Buildpacks})
		}
	}
	if len(a.Draft.Env) > 0 { // what is secret is set elsewhere
		out = append(out, keyed{"env", a.Draft.Env})
	}
	out = append(out, keyed{"features", ordered{{"revisions", true}, {"ssh", !a.NoSSH}}})
	written, err := d.Labels.LabelsOf(c.ctx(), "apps", string(a.ID))
	if err != nil {
		return nil, err
	}
	if set := written[string(a.ID)]; !set.Empty() {
		metadata := ordered{}
		for _, one := range []struct {
			name string
			of   map[string]string
		}{{"labels", set.Labels}, {"annotations", set.Annotations}} {
			if len(one.of) > 0 {
				metadata = append(metadata, keyed{one.name, one.of})
			}
		}
		out = append(out, keyed{"metadata", metadata})
	}
	routes, err := d.routesAsKeys(c, a.App)
	if err != nil {
		return nil, err
	}
	if len(routes) > 0 {
		out = append(out, keyed{"routes", routes})
	}
	services, err := d.servicesAsKeys(c, a.App)
	if err != nil {
		return nil, err
	}
	if len(services) > 0 {
		out = append(out, keyed{"services", services})
	}
	v, err := d.released(c.ctx(), []app.App{a.App})
	if err != nil {
		return nil, err
	}
	processes := each(v.processes(a.App), processAsKeys)
	slices.SortFunc(processes, func(x, y ordered) int { return cmp.Compare(fmt.Sprint(x[0].value), fmt.Sprint(y[0].value)) })
	return append(out, keyed{"processes", processes}), nil
}

// imported says where an app's image comes from, and by what name it is fetched;
// passwords are in no manifest.
func (d *Door) imported(c *call, a app.App) (keyed, error) {
	none := keyed{"lifecycle", "docker"}
	if a.Image == "" {
		return none, nil
	}
	b, err := d.image(c, a.Image, auth.SpaceRead)
	if err == error(missing("Droplet")) || err == nil && b.kind() != "docker" {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	from := ordered{{"image", b.Origin}}
	p, err := d.Packages.Package(c.ctx(), b.pack)
	switch {
	case err == nil && p.Username != "":
		from = append(from, keyed{"username", p.Username})
	case err != nil && !fault.Is(err, fault.NotFound): // what came by another door is its own package
		return none, err
	}
	return keyed{"docker", from}, nil
}

func processAsKeys(p process) ordered {
	o := p.of.Draft.Processes[p.Type]
	out := ordered{
		{"type", p.Type}, {"instances", p.of.Count(p.Type)}, {"memory", strconv.Itoa(p.MemoryMiB) + "M"}, {"disk_quota", strconv.Itoa(p.DiskMiB) + "M"},
		{"log-rate-limit-per-second", -1},
	}
	if o.Command != "" {
		out = append(out, keyed{"command", o.Command})
	}
	h := p.Health
	out = append(out, keyed{"health-check-type", string(h.Check)})
	if h.Check == app.CheckHTTP {
		out = append(out, keyed{"health-check-http-endpoint", h.Path})
	}
	for _, one := range []struct {
		name string
		said app.Duration
	}{{"timeout", o.StartTimeout}, {"health-check-invocation-timeout", o.Timeout}, {"health-check-interval", o.Interval}} {
		if one.said > 0 {
			out = append(out, keyed{one.name, int(one.said.Std().Seconds())})
		}
	}
	return append(out, keyed{"readiness-health-check-type", "process"})
}

func (d *Door) routesAsKeys(c *call, a app.App) ([]ordered, error) {
	routes, err := d.Routes.RoutesOf(c.ctx(), a.ID)
	if err != nil {
		return nil, err
	}
	var out []ordered
	for _, r := range routes {
		name, protocol, ok := routeOf(r)
		if !ok {
			continue
		}
		for _, to := range r.Destinations {
			if to.App == a.ID && to.Protocol != "" {
				protocol = to.Protocol
			}
		}
		if port, tcp := strings.CutPrefix(name, "tcp:"); tcp {
			name = d.cfg.tcpDomain() + ":" + port
		}
		out = append(out, ordered{{"route", name}, {"protocol", protocol}})
	}
	slices.SortFunc(out, func(x, y ordered) int { return cmp.Compare(fmt.Sprint(x[0].value), fmt.Sprint(y[0].value)) })
	return out, nil
}

func (d *Door) servicesAsKeys(c *call, a app.App) ([]any, error) {
	if d.Bindables == nil {
		return nil, nil
	}
	bound, err := d.Bindables.BoundTo(c.ctx(), a.ID)
	return each(bound, func(b deliver.Binding) any {
		if b.Name == "" {
			return b.Service
		}
		return ordered{{"name", b.Service}, {"binding_name", b.Name}}
	}), err
}

// showManifest answers with a manifest that would make the app what it is.
func (d *Door) showManifest(c *call) error {
	a, err := d.app(c, c.guid(), auth.EnvRead)
	if err != nil {
		return err
	}
	if err := d.sources(c, a); err != nil {
		return err
	}
	shown, err := d.shown(c.ctx(), nil, []app.App{a})
	if err != nil {
		return err
	}
	one, err := d.generated(c, shown[0])
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString("---\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(ordered{{"applications", []ordered{one}}}); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	c.w.Header().Set("Content-Type", "application/x-yaml; charset=utf-8")
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write(b.Bytes()) // whether the client still reads is its own affair
	return nil
}
