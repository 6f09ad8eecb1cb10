package buildkit

import (
	"slices"
	"strings"
)

// WithMirrors adds mirrors, each as HOST=URL, to registries. Every host is there
// once: the daemon takes no second word about one.
func WithMirrors(have []RegistryAt, mirrors []string) []RegistryAt {
	all := slices.Clone(have)
	at := func(host string) *RegistryAt {
		i := slices.IndexFunc(all, func(r RegistryAt) bool { return r.Host == host })
		if i < 0 {
			i, all = len(all), append(all, RegistryAt{Host: host})
		}
		return &all[i]
	}
	for _, pair := range mirrors {
		host, url, _ := strings.Cut(pair, "=")
		scheme, mirror, _ := strings.Cut(url, "://")
		mirror = strings.TrimSuffix(mirror, "/")
		r := at(host)
		r.Mirrors = append(r.Mirrors, mirror)
		if scheme == "http" {
			name, _, _ := strings.Cut(mirror, "/")
			at(name).HTTP = true
		}
	}
	return all
}
