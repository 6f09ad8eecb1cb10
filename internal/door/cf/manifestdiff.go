package cf

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/auth"
)

// change is a difference between a manifest and the app it is about, as a JSON patch
// that also says what was.
type change struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Was   any    `json:"was,omitempty"`
	Value any    `json:"value,omitempty"`
}

// diffManifest says what a manifest would change.
func (d *Door) diffManifest(c *call) error {
	p, err := d.space(c, c.guid(), auth.AppWrite)
	if err != nil {
		return err
	}
	all, err := d.targets(c, p)
	if err != nil {
		return err
	}
	diff := []change{}
	for i, t := range all {
		have := map[string]any{}
		if t.have.ID != "" {
			if !c.can(auth.EnvRead, p) { // what may not be read is not told of
				t.have.Draft = t.have.Draft.WithSecrets(slices.Sorted(maps.Keys(t.have.Draft.Env))...)
			}
			g, err := d.generated(c, t.have)
			if err != nil {
				return err
			}
			have = g.plain()
		}
		diff = append(diff, compared("/applications/"+strconv.Itoa(i), have, normal(t.node, true))...)
	}
	return c.made(map[string]any{"diff": diff})
}

// comparable are the keys of an application that are compared; those of its
// processes are beside.
var comparedKeys = []string{"name", "stack", "buildpacks", "docker", "env", "features", "metadata", "routes", "services", "processes", "no-route", "random-route", "default-route"}

// normal is a part of a manifest with sizes and variables as they are generated. Of
// an application, what it says of itself.
func normal(v *yaml.Node, whole bool) any {
	v = aliased(v)
	switch v.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for key, value := range fields(v) {
			switch {
			case whole && !slices.Contains(comparedKeys, key) && !slices.Contains(ofProcess, key):
			case key == "memory", key == "disk_quota", key == "disk-quota":
				mib, _ := inMiB(value.Value)
				out[key] = strconv.Itoa(mib) + "M"
			case key == "env":
				env := map[string]any{}
				for name, value := range fields(value) {
					env[name] = textOf(value).Value
				}
				out[key] = env
			default:
				out[key] = normal(value, false)
			}
		}
		return out
	case yaml.SequenceNode:
		return each(v.Content, func(one *yaml.Node) any { return normal(one, false) })
	}
	var out any
	if v.Decode(&out) != nil {
		return v.Value
	}
	return out
}

// compared lists what differs of an application. What it says of itself is of its web
// process, unless it has an entry for that.
func compared(path string, have map[string]any, want any) []change {
	given, _ := want.(map[string]any)
	web, _ := entryOf(have["processes"], "type", app.Web).(map[string]any)
	for _, key := range ofProcess {
		if value, said := web[key]; said {
			have[key] = value
		}
	}
	for _, key := range []string{"no-route", "random-route", "default-route"} {
		if given[key] != true {
			delete(given, key)
		}
	}
	return differences(path, have, true, given)
}

// identities are the keys by which the entries of a list are told apart.
var identities = []string{"type", "route", "name"}

// entryOf is the entry of a list whose key has a value.
func entryOf(list any, key string, value any) any {
	all, _ := list.([]any)
	for _, one := range all {
		if m, ok := one.(map[string]any); ok && m[key] == value {
			return m
		}
	}
	return nil
}

// serviceOf is the entry of a list of services for the service that one is of: both
// may be its name alone, or have it.
func serviceOf(list, one any) (old any, had bool) {
	name := func(v any) any {
		if m, ok := v.(map[string]any); ok {
			return m["name"]
		}
		return v
	}
	all, _ := list.([]any)
	i := slices.IndexFunc(all, func(old any) bool { return name(old) == name(one) })
	if i < 0 {
		return nil, false
	}
	if m, ok := one.(map[string]any); ok && len(m) == 1 && all[i] == m["name"] {
		return one, true
	}
	return all[i], true
}

func differences(path string, was any, had bool, value any) (out []change) {
	if had && reflect.DeepEqual(was, value) || had && fmt.Sprint(was) == fmt.Sprint(value) {
		return nil
	}
	switch v := value.(type) {
	case map[string]any:
		m, _ := was.(map[string]any)
		if m == nil && len(v) > 0 && strings.Count(path, "/") > 2 {
			break
		}
		for _, key := range slices.Sorted(mapKeys(v)) {
			old, had := m[key]
			if key == "disk-quota" { // clients write it so, and the other way in processes
				old, had = m["disk_quota"]
			}
			out = append(out, differences(path+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), old, had, v[key])...)
		}
		return out
	case []any:
		if len(v) == 0 {
			break
		}
		if strings.HasSuffix(path, "/services") {
			for i, one := range v {
				old, had := serviceOf(was, one)
				out = append(out, differences(path+"/"+strconv.Itoa(i), old, had, one)...)
			}
			return out
		}
		key := ""
		if one, ok := v[0].(map[string]any); ok {
			for _, k := range identities {
				if _, has := one[k]; has && key == "" {
					key = k
				}
			}
		}
		if key == "" {
			break
		}
		for i, one := range v {
			m, _ := one.(map[string]any)
			old := entryOf(was, key, m[key])
			out = append(out, differences(path+"/"+strconv.Itoa(i), old, old != nil, one)...)
		}
		return out
	}
	if !had || was == nil {
		return []change{{Op: "add", Path: path, Value: value}}
	}
	return []change{{Op: "replace", Path: path, Was: was, Value: value}}
}
