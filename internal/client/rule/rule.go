// Package rule reads and writes what a route asks of the gateway the way people
// do: KEY=VALUE, on a command line and in a manifest.
package rule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"naru/internal/client"
	"naru/internal/fault"
)

// Key is a rule that can be set.
type Key struct {
	Name   string // "rate.client"; one that ends with a dot is followed by a name: "request.set."
	Sample string // a value it may have
	Doc    string // what it does, in a few words

	path string // of the value in client.Terms: "policy.redirect.to"
	root string // what goes when the rule goes; "": path
	read func(text string) (any, error)
	set  func(c *Change, name, text string) error // in place of path and read; name is what follows the key
	drop func(c *Change, name string) error       // the same for taking away
}

// Keys are all rules, in the order in which a request meets them.
func Keys() []Key { return table }

// Names are the names of all keys, without names of their own.
func Names() (names []string) {
	for _, k := range table {
		names = append(names, k.Name)
	}
	return names
}

// Known reports whether there is such a key.
func Known(key string) bool {
	_, _, ok := find(key)
	return ok
}

// find returns a key, and the name that follows it.
func find(text string) (k Key, name string, ok bool) {
	i := slices.IndexFunc(table, func(k Key) bool { return k.Name == text })
	if i >= 0 && !named(text) {
		return table[i], "", true
	}
	for _, k := range table {
		if rest, found := strings.CutPrefix(text, k.Name); found && rest != "" && named(k.Name) {
			return k, rest, true
		}
	}
	return Key{}, "", false
}

func named(key string) bool { return strings.HasSuffix(key, ".") }

// Change gathers what is to be different about a route's terms.
type Change struct {
	patch    map[string]any
	rates    []client.Rate
	troubles []client.Trouble
}

// Over begins a change of terms as they are. Only lists need to be known: the
// rest is a merge patch.
func Over(have client.Terms) *Change {
	c := &Change{patch: map[string]any{}}
	if have.Policy != nil {
		c.rates, c.troubles = slices.Clone(have.Policy.Rates), slices.Clone(have.Policy.Faults)
	}
	return c
}

// Set sets a rule. "off" and "false" take it away, but from header fields.
func (c *Change) Set(key, value string) error {
	k, name, ok := find(key)
	if !ok {
		return unknown(key)
	}
	if !named(k.Name) && key != "retries" && (value == "off" || value == "false") {
		return c.unset(k, name)
	}
	if k.set != nil {
		return c.in(key, k.set(c, name, value))
	}
	v, err := k.read(value)
	if err != nil {
		return c.in(key, err)
	}
	c.put(k.path+name, name, v)
	return nil
}

// Unset takes a rule away, with what belongs to it.
func (c *Change) Unset(key string) error {
	k, name, ok := find(key)
	if ok {
		return c.unset(k, name)
	}
	whole, isGroup := map[string]string{
		"addresses": "policy.addresses", "auth": "policy.auth", "fault": "policy.faults", "rates": "policy.rates",
		"request": "policy.request", "response": "policy.response", "timeout": "timeouts",
	}[key]
	if !isGroup {
		return unknown(key)
	}
	switch key {
	case "fault":
		c.troubles = nil
	case "rates":
		c.rates = nil
	}
	c.put(whole, "", nil)
	return nil
}

func (c *Change) unset(k Key, name string) error {
	if k.drop != nil {
		return k.drop(c, name)
	}
	path := k.root
	if path == "" {
		path = k.path + name
	}
	c.put(path, name, nil)
	return nil
}

func unknown(key string) error {
	return fault.New(fault.Invalid, key, "there is no rule %q", key).WithTry("there are %s", strings.Join(Names(), ", "))
}

// in says which key an error is about.
func (c *Change) in(key string, err error) error {
	if err == nil {
		return nil
	}
	if f := fault.Of(err); f.Kind != fault.Internal {
		return err
	}
	k, _, _ := find(key)
	wrong := fault.New(fault.Invalid, key, "%s", err)
	if k.Sample == "" {
		return wrong
	}
	if strings.HasSuffix(k.Name, ".") {
		return wrong.WithTry("%sNAME=%s", k.Name, k.Sample)
	}
	return wrong.WithTry("%s=%s", k.Name, k.Sample)
}

// put writes a value into the patch. A name at the path's end is one segment,
// whatever dots are in it.
func (c *Change) put(path, name string, value any) {
	segments := strings.Split(strings.TrimSuffix(path, name), ".")
	if name != "" {
		segments[len(segments)-1] = name
	}
	at := c.patch
	for _, s := range segments[:len(segments)-1] {
		next, ok := at[s].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[s] = next
		}
		at = next
	}
	at[segments[len(segments)-1]] = value
}

// Patch is the change as the API takes it.
func (c *Change) Patch() (out client.TermsChange, err error) {
	data, err := json.Marshal(c.patch)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return out, fmt.Errorf("encode rules: %w", err)
	}
	return out, nil
}

// User gives a person a password; Set cannot, for what is on a command line is
// seen by others.
func (c *Change) User(name, password string) {
	c.put("policy.auth.users."+name, name, password)
}
