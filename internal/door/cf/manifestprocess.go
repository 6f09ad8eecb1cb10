package cf

import (
	"fmt"
	"math"
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
	form := func(format string, args ...any) { c.bad("Process \"%s\": %s", kind, fmt.Sprintf(format, args...)) }
	bad := func(format string, args ...any) {
		if !quiet {
			form(format, args...)
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
		title := titled(name)
		switch name {
		case "memory", "disk_quota", "disk-quota":
			title = map[string]string{"memory": "Memory"}[name]
			if title == "" {
				title = "Disk quota"
			}
			mib, problem := inMiB(v.Value)
			if problem == tooSmall {
				bad("%s %s", title, problem)
				continue
			} else if problem != "" {
				form("%s %s", title, problem)
				continue
			}
			v = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strconv.Itoa(mib) + "M", Line: v.Line}
		case "log-rate-limit-per-second":
			if problem := logRate(v.Value); problem != "" {
				form("%s", problem)
			} else if v.Value != "-1" && strings.ToUpper(v.Value) != "-1B" {
				bad("%s", noLogRate)
			}
			continue
		case "command":
			if !isText(v) {
				bad("Command must be a string")
				continue
			} else if !sized(v.Value, 4096) {
				bad("Command must be between 1 and 4096 characters")
				continue
			}
		case "instances":
			if problem := whole(v.Value, 0, 2_000_000); problem != "" {
				bad("%s %s", title, problem)
				continue
			}
		case "timeout", "health-check-invocation-timeout", "health-check-interval",
			"readiness-health-check-invocation-timeout", "readiness-health-check-interval":
			if problem := whole(v.Value, 1, math.MaxInt32); problem != "" {
				bad("%s %s", title, problem)
				continue
			}
		case "health-check-type", "readiness-health-check-type":
			if !slices.Contains([]string{"port", "process", "http", "none"}, v.Value) {
				bad("%s must be \"port\", \"process\", or \"http\"", title)
				continue
			}
		case "health-check-http-endpoint", "readiness-health-check-http-endpoint":
			if !strings.HasPrefix(v.Value, "/") || strings.ContainsAny(v.Value, " \t\r\n") {
				bad("%s must be a valid URI path", title)
				continue
			}
		}
		if !strings.HasPrefix(name, "readiness-") {
			put(name, v)
		}
	}
	for _, name := range []string{"health-check", "readiness-health-check"} {
		check := key[name+"-type"]
		if key[name+"-http-endpoint"] != nil && check != nil && check.Value != "http" {
			bad("%s type must be \"http\" to set a health check HTTP endpoint", titled(name))
		}
	}
	if user := key["user"]; user != nil && !empty(user) && !quiet {
		switch {
		case !isText(user):
			bad("User must be a string")
		case !sized(user.Value, 255):
			bad("User must be between 1 and 255 characters")
		default:
			d.warnings = append(d.warnings, fmt.Sprintf("For application '%s': user of process \"%s\" is ignored: instances run as the user of their image", c.name, kind))
		}
	}
	c.readiness(key, out, bad)
	return out
}

// titled is a key as errors begin with it.
func titled(key string) string {
	return strings.ToUpper(key[:1]) + strings.ReplaceAll(key[1:], "-", " ")
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

// tooSmall is what is wrong with a size that has the form of one.
const tooSmall = "must be greater than 0MB"

var (
	numberForm = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?`)
	sizeForm   = regexp.MustCompile(`(?i)^\s*(-?[0-9]+(?:\.[0-9]+)?)(?:([KMGT])i?B?|B)\s*$`)
)

// inBytes reads a size, or says what is wrong with it.
func inBytes(text string) (float64, string) {
	if !numberForm.MatchString(text) {
		return 0, "is not a number"
	}
	m := sizeForm.FindStringSubmatch(text)
	if m == nil {
		return 0, "must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB"
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, "is not a number"
	}
	return n * map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[strings.ToUpper(m[2])], ""
}

// inMiB reads a size in whole MiB.
func inMiB(text string) (int, string) {
	n, problem := inBytes(text)
	switch n /= 1 << 20; {
	case problem != "":
		return 0, problem
	case n < 1:
		return 0, tooSmall
	case n > 1<<30:
		return 0, "is too large"
	}
	return int(n), ""
}

// logRate says what is wrong with a rate.
func logRate(text string) string {
	if text == "-1" || text == "0" {
		return ""
	}
	n, problem := inBytes(text)
	switch {
	case problem != "":
		return "Log rate limit per second " + problem
	case n < -1:
		return "Log rate limit must be an integer greater than or equal to -1"
	}
	return ""
}

// whole says what is wrong with a whole number.
func whole(text string, least, most int) string {
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(f):
		return "is not a number"
	case f != math.Trunc(f):
		return "must be an integer"
	case f < float64(least):
		return fmt.Sprintf("must be greater than or equal to %d", least)
	case f > float64(most):
		return fmt.Sprintf("must be less than or equal to %d", most)
	}
	return ""
}
