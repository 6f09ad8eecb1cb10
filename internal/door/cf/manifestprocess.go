package cf

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
)

// processes reads the entries of a list of them, as naru's own reader takes them.
func (c *complaints) processes(d *declared, v *yaml.Node) (list *yaml.Node, web bool) {
	list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: v.Line}
	if v.Kind != yaml.SequenceNode {
		c.bad("Processes must be an array of process configurations")
		return list, false
	}
	seen := map[string]bool{}
	for _, one := range v.Content {
		one = aliased(one)
		kind := fields(one)["type"]
		if one.Kind != yaml.MappingNode || kind == nil || empty(kind) || kind.Value == "" {
			c.bad("All Processes must specify a type")
			continue
		}
		if seen[kind.Value] {
			c.bad("Process \"%s\" may only be present once", kind.Value)
		}
		seen[kind.Value] = true
		list.Content = append(list.Content, c.process(d, kind.Value, one, false))
	}
	return list, seen[app.Web]
}

// process checks what is said of a process type, and returns it without what is
// read here; quiet where it does not count.
func (c *complaints) process(d *declared, kind string, entry *yaml.Node, quiet bool) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: entry.Line}
	bad := func(format string, args ...any) {
		if !quiet {
			c.bad("Process \"%s\": %s", kind, fmt.Sprintf(format, args...))
		}
	}
	put := func(name string, v *yaml.Node) {
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: v.Line}, v)
	}
	key := fields(entry)
	for _, name := range slices.Sorted(mapKeys(key)) {
		v := key[name]
		if name == "command" && (empty(v) || v.Value == "null") {
			if !quiet {
				d.found = append(d.found, kind)
			}
			continue
		}
		if empty(v) || slices.Contains(passedOver, name) {
			continue
		}
		title := strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "-", " ")
		switch name {
		case "memory", "disk_quota", "disk-quota":
			title = map[string]string{"memory": "Memory"}[name]
			if title == "" {
				title = "Disk quota"
			}
			mib, problem := inMiB(v.Value)
			if problem != "" {
				bad("%s %s", title, problem)
				continue
			}
			v = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strconv.Itoa(mib) + "M", Line: v.Line}
		case "log-rate-limit-per-second":
			if v.Value != "-1" {
				bad("%s", noLogRate)
			}
			continue
		case "instances":
			if n, err := strconv.Atoi(v.Value); err != nil || n < 0 || n > 2_000_000 {
				bad("Instances must be greater than or equal to 0")
				continue
			}
		case "timeout", "health-check-invocation-timeout", "health-check-interval",
			"readiness-health-check-invocation-timeout", "readiness-health-check-interval":
			if n, err := strconv.Atoi(v.Value); err != nil || n < 1 {
				bad("%s must be greater than or equal to 1", title)
				continue
			}
		case "health-check-type", "readiness-health-check-type":
			if !slices.Contains([]string{"port", "process", "http", "none"}, v.Value) {
				bad("%s must be \"port\", \"process\", or \"http\"", title)
				continue
			}
		case "health-check-http-endpoint", "readiness-health-check-http-endpoint":
			if !strings.HasPrefix(v.Value, "/") {
				bad("%s must be a valid URI path", title)
				continue
			}
		}
		if !strings.HasPrefix(name, "readiness-") {
			put(name, v)
		}
	}
	if key["health-check-http-endpoint"] != nil && key["health-check-type"] != nil && !slices.Contains([]string{"http", ""}, key["health-check-type"].Value) {
		bad("Health check type must be \"http\" to set a health check HTTP endpoint.")
	}
	c.readiness(key, out, bad)
	return out
}

// readiness makes a check of readiness the check, for naru has one: an instance that
// fails it gets no requests, and is replaced after a while. Where both are given and
// differ, one of them would be lost.
func (c *complaints) readiness(key map[string]*yaml.Node, out *yaml.Node, bad func(string, ...any)) {
	kind := key["readiness-health-check-type"]
	if kind == nil || empty(kind) || kind.Value == "process" || kind.Value == "none" {
		return
	}
	of := func(v *yaml.Node) string {
		if v == nil {
			return ""
		}
		return v.Value
	}
	health, path, ready := of(key["health-check-type"]), of(key["health-check-http-endpoint"]), of(key["readiness-health-check-http-endpoint"])
	switch {
	case kind.Value == "port" && (health == "" || health == "port" || health == "http"):
	case kind.Value == "http" && health == "http" && (ready == "" || path == "" || ready == path):
	case health == "http":
		bad("naru has one check that decides both health and readiness: give the same endpoint to both, or leave the readiness check out")
	default:
		set := func(name, value string) {
			for i := 0; i+1 < len(out.Content); i += 2 {
				if out.Content[i].Value == name {
					out.Content = slices.Delete(out.Content, i, i+2)
					break
				}
			}
			out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: kind.Line},
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Line: kind.Line})
		}
		set("health-check-type", kind.Value)
		if kind.Value == "http" && ready != "" {
			set("health-check-http-endpoint", ready)
		}
	}
}

const noLogRate = "naru limits logs for all apps alike (logs.rate), not app by app: leave log-rate-limit-per-second out"

var sizeForm = regexp.MustCompile(`^\s*(-?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*$`)

// inMiB reads a size, or says what is wrong with it.
func inMiB(text string) (int, string) {
	const unit = "must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB"
	m := sizeForm.FindStringSubmatch(text)
	if m == nil {
		if strings.IndexFunc(text, func(r rune) bool { return r >= '0' && r <= '9' }) != 0 {
			return 0, "is not a number"
		}
		return 0, unit
	}
	factor, known := map[string]float64{"B": 1. / (1 << 20), "K": 1. / 1024, "M": 1, "G": 1024, "T": 1 << 20}[strings.ToUpper(m[2])[:min(1, len(m[2]))]]
	if rest := strings.ToUpper(m[2]); !known || len(rest) > 2 || len(rest) == 2 && (rest[1] != 'B' || rest[0] == 'B') {
		return 0, unit
	}
	n, err := strconv.ParseFloat(m[1], 64)
	switch {
	case err != nil:
		return 0, "is not a number"
	case n*factor < 1:
		return 0, "must be greater than 0MB"
	case n*factor > 1<<30:
		return 0, "is too large"
	}
	return int(n * factor), ""
}
