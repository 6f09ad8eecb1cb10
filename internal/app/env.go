package app

import (
	"maps"
	"slices"

	"naru/internal/fault"
	"naru/internal/secret"
)

// EnvChange is a change of an app's environment.
type EnvChange struct {
	Set     map[string]string        // plain values
	Secrets map[string]secret.Secret // values to be sealed
	Unset   []string
}

// Check refuses names that cannot be set, and a name that is changed in two
// ways at once.
func (c EnvChange) Check() error {
	names := slices.Concat(slices.Sorted(maps.Keys(c.Set)), slices.Sorted(maps.Keys(c.Secrets)), c.Unset)
	seen := map[string]bool{}
	for i, name := range names {
		if i < len(c.Set)+len(c.Secrets) {
			if err := CheckEnvName("env."+name, name); err != nil {
				return err
			}
		}
		if seen[name] {
			return fault.New(fault.Invalid, "env."+name, "%s is changed in two ways at once", name)
		}
		seen[name] = true
	}
	return nil
}
