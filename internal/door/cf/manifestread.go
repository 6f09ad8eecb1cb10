package cf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/app/manifest"
	"naru/internal/fault"
	"naru/internal/pipeline/deliver"
)

// declared is one application of a manifest: naru's own reading of it, and what
// Cloud Foundry has beside.
type declared struct {
	manifest.Application
	node         *yaml.Node // as it was sent, in Cloud Foundry's form
	docker       bool
	life         string   // lifecycle, "" where nothing is said
	packs        []string // buildpacks; nil where nothing is said
	packsKey     string   // what the key for them is called
	stack        *string
	defaultRoute bool
	found        []string // process types whose command is null
	features     map[string]bool
	services     []deliver.Binding
	metadata     *label.Change
	warnings     []string
}

// complaints gathers what is wrong with a manifest, app by app.
type complaints struct {
	name  string
	index int
	all   []problem
}

func (c *complaints) bad(format string, args ...any) {
	about := fmt.Sprintf("For application at index %d: ", c.index)
	if c.name != "" {
		about = fmt.Sprintf("For application '%s': ", c.name)
	}
	p := unprocessable.saying(about + fmt.Sprintf(format, args...))
	if !slices.Contains(c.all, p) {
		c.all = append(c.all, p)
	}
}

// readManifest reads a manifest as clients send it: variables are filled in.
func readManifest(body []byte) ([]declared, []problem) {
	parse := func(text string) []problem {
		return []problem{badMessage.saying("Request invalid due to parse error: " + text)}
	}
	var doc yaml.Node
	err := yaml.Unmarshal(body, &doc)
	if err == nil {
		var whole any // refuses aliases that hold themselves, or multiply without end
		err = doc.Decode(&whole)
	}
	if err != nil {
		return nil, parse(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: "))
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, parse("invalid request body")
	}
	root := fields(doc.Content[0])
	if v, ok := root["version"]; ok && !empty(v) && v.Value != "1" {
		return nil, []problem{unprocessable.saying("Unsupported manifest schema version. Currently supported versions: [1].")}
	}
	apps, ok := root["applications"]
	if !ok || apps.Kind != yaml.SequenceNode || len(apps.Content) == 0 {
		return nil, []problem{unprocessable.saying("Cannot parse manifest with no 'applications' field.")}
	}
	var out []declared
	c := &complaints{}
	names := map[string]bool{}
	for i, entry := range apps.Content {
		c.name, c.index = "", i
		entry = aliased(entry)
		if entry.Kind != yaml.MappingNode {
			c.bad("must be a map of keys and values")
			continue
		}
		d := c.application(entry)
		if d.Name != "" && names[d.Name] {
			c.bad("the name is there twice")
		}
		names[d.Name] = true
		out = append(out, d)
	}
	return out, c.all
}

func aliased(v *yaml.Node) *yaml.Node {
	for depth := 0; v.Kind == yaml.AliasNode && v.Alias != nil && depth < 10; depth++ {
		v = v.Alias
	}
	return v
}

// fields are the values of a map by their keys; of a key that is there twice the
// first.
func fields(v *yaml.Node) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	for i := 0; i+1 < len(v.Content); i += 2 {
		if _, had := out[v.Content[i].Value]; !had {
			out[v.Content[i].Value] = aliased(v.Content[i+1])
		}
	}
	return out
}

func empty(v *yaml.Node) bool { return v.Kind == yaml.ScalarNode && v.Tag == "!!null" }

func yes(v *yaml.Node) bool { return v != nil && v.Kind == yaml.ScalarNode && v.Value == "true" }

// application checks an entry as Cloud Foundry does, takes from it what naru's own
// manifests do not have, and has the rest read as one of those.
func (c *complaints) application(entry *yaml.Node) declared {
	d := declared{node: entry}
	key := fields(entry)
	before := len(c.all)
	v, ok := key["name"]
	if ok && v.Kind == yaml.ScalarNode && !empty(v) {
		c.name = v.Value
	}
	if !ok || empty(v) || v.Kind == yaml.ScalarNode && v.Value == "" {
		c.bad("Name must not be empty")
	}
	if !ok || !isText(v) {
		c.bad("Name must be a string")
	}
	c.lifecycle(&d, key)
	c.environment(key["env"])
	c.routes(key)
	c.beside(&d, key)
	own := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: entry.Line}
	take := func(name string, v *yaml.Node) {
		own.Content = append(own.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: v.Line}, v)
	}
	web := false // an entry for web stands for all that the app says of itself
	if v, ok := key["processes"]; ok && !empty(v) {
		list, has := c.processes(&d, v)
		web = has
		take("processes", list)
	}
	whole := c.process(&d, app.Web, entry, web)
	for i := 0; i+1 < len(whole.Content) && !web; i += 2 {
		if name := whole.Content[i].Value; slices.Contains(ofProcess, name) {
			take(name, whole.Content[i+1])
		}
	}
	for i := 0; i+1 < len(entry.Content); i += 2 {
		name, v := entry.Content[i].Value, aliased(entry.Content[i+1])
		switch {
		case slices.Contains(elsewhere, name), slices.Contains(passedOver, name), slices.Contains(ofProcess, name):
		case name != "<<" && empty(v):
		case name == "routes" && v.Kind == yaml.SequenceNode:
			take(name, portsNamed(v))
		case name == "env" && v.Kind == yaml.MappingNode:
			take(name, texts(v))
		default:
			take(name, v)
		}
	}
	if len(c.all) > before {
		d.Name = c.name
		return d
	}
	c.read(&d, own)
	return d
}

// elsewhere are keys that are read here; passedOver those that Cloud Foundry does
// nothing with either.
var (
	elsewhere = []string{
		"processes", "buildpacks", "buildpack", "stack", "lifecycle", "docker", "cnb-credentials", "services", "sidecars", "features", "metadata",
		"default-route",
	}
	passedOver = []string{"path", "domain", "domains", "host", "hosts", "no-hostname", "inherit", "user"}
	ofProcess  = []string{
		"command", "instances", "memory", "disk_quota", "disk-quota", "log-rate-limit-per-second", "timeout", "health-check-type",
		"health-check-http-endpoint", "health-check-invocation-timeout", "health-check-interval", "readiness-health-check-type",
		"readiness-health-check-http-endpoint", "readiness-health-check-invocation-timeout", "readiness-health-check-interval",
	}
)

// read has naru's reader read what is left of an entry.
func (c *complaints) read(d *declared, own *yaml.Node) {
	text := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	file, err := manifest.Read("manifest.yml", &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{
		text("applications"), {Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{own}},
	}})
	for _, one := range parted(err) {
		f := fault.Of(one)
		_, where, _ := strings.Cut(f.Field, ": ")
		if where = strings.TrimPrefix(where, "applications[0]"); where != "" {
			where = strings.TrimPrefix(where, ".") + ": "
		}
		text := strings.ReplaceAll(f.Message, "applications[0].", "")
		if strings.HasPrefix(text, strings.TrimSuffix(where, ": ")) {
			where = "" // it says so itself
		}
		c.bad("%s%s", where, text)
	}
	if err != nil {
		return
	}
	d.Application = file.Applications[0]
	for _, w := range file.Warnings {
		d.warnings = append(d.warnings, fmt.Sprintf("For application '%s': %s", d.Name, strings.TrimPrefix(w.Message, "applications[0].")))
	}
}

// parted are the errors that one is made of.
func parted(err error) []error {
	var many interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &many):
		return many.Unwrap()
	}
	return []error{err}
}

// lifecycle reads how the app comes to be an image.
func (c *complaints) lifecycle(d *declared, key map[string]*yaml.Node) {
	if v, ok := key["lifecycle"]; ok && !empty(v) {
		d.life = v.Value
	}
	if v, ok := key["docker"]; ok && !empty(v) {
		if v.Kind != yaml.MappingNode {
			c.bad("Docker must be an object")
		}
		d.docker = true
	}
	one, single := key["buildpack"]
	many, several := key["buildpacks"]
	switch {
	case single && several:
		c.bad("Buildpack and Buildpacks fields cannot be used together.")
	case d.docker && (single || several):
		c.bad("Cannot specify both buildpack(s) and docker keys")
	case single && !empty(one) && !isText(one):
		c.bad("Buildpack must be a string")
	case single && !empty(one) && !sized(one.Value, 4096):
		c.bad("Buildpack must be between 1 and 4096 characters")
	case several && !empty(many) && many.Kind != yaml.SequenceNode:
		c.bad("Buildpacks must be an array")
	}
	d.packsKey = map[bool]string{true: "Buildpack", false: "Buildpacks"}[single]
	if single && !slices.Contains([]string{"default", "null", ""}, one.Value) {
		d.packs = []string{one.Value}
	} else if single || several {
		d.packs = []string{}
	}
	if several && many.Kind == yaml.SequenceNode {
		for _, v := range many.Content {
			switch v = aliased(v); {
			case !isText(v):
				c.bad("Buildpacks can only contain strings")
			case !sized(v.Value, 4096):
				c.bad("Buildpacks entries must be between 1 and 4096 characters")
			case v.Value != "default" && v.Value != "null":
				d.packs = append(d.packs, v.Value)
			}
		}
	}
	if v, ok := key["stack"]; ok && !empty(v) {
		switch {
		case !isText(v):
			c.bad("Stack must be a string")
		case !sized(v.Value, 4096):
			c.bad("Stack must be between 1 and 4096 characters")
		default:
			d.stack = &v.Value
		}
	}
	switch d.life {
	case "", "buildpack":
		if d.docker && d.life != "" {
			c.bad("Cannot specify both lifecycle %s and docker keys", d.life)
		}
	case "docker":
		d.docker = true
	case "cnb":
		c.bad("%s", noCNB)
	default:
		c.bad("Lifecycle must be one of buildpack, cnb, docker")
	}
	if _, ok := key["cnb-credentials"]; ok && d.life != "cnb" {
		d.warnings = append(d.warnings, fmt.Sprintf("For application '%s': cnb-credentials are for the lifecycle cnb, and are ignored", c.name))
	}
}

const noCNB = "naru has no Cloud Native Buildpacks: leave the lifecycle out, so that naru finds out how the source is built, or add a Dockerfile"

// environment checks the names of variables.
func (c *complaints) environment(v *yaml.Node) {
	if v == nil || empty(v) {
		return
	}
	if v.Kind != yaml.MappingNode {
		c.bad("Env must be an object of keys and values")
		return
	}
	for i := 0; i+1 < len(v.Content); i += 2 {
		name := v.Content[i]
		switch upper := strings.ToUpper(name.Value); {
		case name.Value == "<<" && name.Tag == "!!merge":
		case !isText(name):
			c.bad("Env key must be a string")
		case name.Value == "":
			c.bad("Env key must be a minimum length of 1")
		case strings.HasPrefix(upper, "VCAP_"):
			c.bad("Env cannot start with VCAP_")
		case strings.HasPrefix(upper, "VMC"):
			c.bad("Env cannot start with VMC_")
		case upper == "PORT":
			c.bad("Env cannot set PORT")
		}
	}
}
