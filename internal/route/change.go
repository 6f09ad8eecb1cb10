package route

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"naru/internal/fault"
)

// Change is what people want to be different about a route's terms: a JSON merge
// patch (RFC 7396) of them, in which passwords are hashed already.
type Change struct {
	patch map[string]any
}

// ParseChange reads a merge patch of Terms. Passwords come as they are and are
// hashed here, which takes its time: not in a transaction. The error names the
// field.
func ParseChange(data []byte) (Change, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var whole any
	err := dec.Decode(&whole)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = fmt.Errorf("something follows behind its end")
		}
	}
	if err != nil {
		return Change{}, fault.New(fault.Invalid, "body", "not JSON: %s", err)
	}
	patch, ok := whole.(map[string]any)
	if !ok {
		return Change{}, fault.New(fault.Invalid, "body", "it is %s, want an object", plainValue(whole))
	}
	if p := fits(patch, reflect.TypeFor[Terms]()); p != nil {
		return Change{}, p.fault()
	}
	c := Change{patch}
	if err := hashed(c.users()); err != nil {
		return Change{}, err
	}
	return c, nil
}

// Empty reports that nothing is to be different.
func (c Change) Empty() bool { return len(c.patch) == 0 }

// Keys are the fields that the change names, for the record: without values.
func (c Change) Keys() []string { return leaves("", c.patch) }

func leaves(at string, value map[string]any) (keys []string) {
	for _, name := range slices.Sorted(maps.Keys(value)) {
		key := at + name
		if inner, ok := value[name].(map[string]any); ok && len(inner) > 0 {
			keys = append(keys, leaves(key+".", inner)...)
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// Apply returns the terms with the change. The error names the field of what
// would not work.
func (c Change) Apply(have Terms) (Terms, error) {
	data, err := json.Marshal(have)
	if err != nil {
		return have, fmt.Errorf("encode terms: %w", err)
	}
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return have, fmt.Errorf("decode terms: %w", err)
	}
	users, err := keptUsers(c.users(), have)
	if err != nil {
		return have, err
	}
	doc = merged(doc, c.patch)
	if users != nil {
		section(doc, "policy", "auth")["users"] = users
	}
	if data, err = json.Marshal(doc); err != nil {
		return have, fmt.Errorf("encode terms: %w", err)
	}
	var out Terms
	if p := fits(doc, reflect.TypeFor[Terms]()); p != nil {
		return have, p.fault()
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return have, fmt.Errorf("decode terms: %w", err)
	}
	out = out.tidy()
	return out, out.Check()
}

// merged is RFC 7396.
func merged(target, patch map[string]any) map[string]any {
	out := maps.Clone(target)
	if out == nil {
		out = map[string]any{}
	}
	for name, value := range patch {
		inner, ok := value.(map[string]any)
		switch {
		case value == nil:
			delete(out, name)
		case ok:
			have, _ := out[name].(map[string]any)
			out[name] = merged(have, inner)
		default:
			out[name] = value
		}
	}
	return out
}

// section is the object at a path of names; nil where there is none.
func section(doc map[string]any, names ...string) map[string]any {
	for _, name := range names {
		doc, _ = doc[name].(map[string]any)
	}
	return doc
}

// Check refuses terms that the gateway could not follow.
func (t Terms) Check() error {
	if t.Limits != nil && t.Limits.Body < 0 {
		return fault.New(fault.Invalid, "limits.body", "must not be negative")
	}
	if t.Policy == nil {
		return nil
	}
	return t.Policy.Check("policy")
}

// tidy drops what asks for nothing once something was removed from it.
func (t Terms) tidy() Terms {
	if p := t.Policy; p != nil {
		if a := p.Addresses; a != nil && len(a.Allow)+len(a.Deny) == 0 {
			p.Addresses = nil
		}
		p.Request, p.Response = p.Request.tidy(), p.Response.tidy()
		if len(p.Rates) == 0 {
			p.Rates = nil
		}
		if len(p.Faults) == 0 {
			p.Faults = nil
		}
		if reflect.ValueOf(*p).IsZero() {
			t.Policy = nil
		}
	}
	if t.Timeouts != nil && *t.Timeouts == (Timeouts{}) {
		t.Timeouts = nil
	}
	if t.Limits != nil && *t.Limits == (Limits{}) {
		t.Limits = nil
	}
	return t
}

func (r *Rules) tidy() *Rules {
	if r == nil || len(r.Remove)+len(r.Set)+len(r.Add) == 0 {
		return nil
	}
	return r
}
