package metrics

import (
	"maps"
	"sync"
)

// Metadata says what a metric is.
type Metadata struct {
	Type string `json:"type"` // counter, gauge, histogram, summary, info, stateset, unknown
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// The bounds of what is remembered about metrics.
const (
	maxMetadata = 20_000
	maxHelp     = 512 // bytes
)

// metadata remembers what metrics are, by the space that has them and their
// names. It is in memory only: whoever writes a metric says it again.
type metadata struct {
	mu  sync.Mutex // guards all
	all map[aboutKey]Metadata
}

type aboutKey struct{ space, name string }

// Describe remembers what a space's metric is; "" is naru itself, whose metrics
// everybody may know about.
func (s *Store) Describe(space, name string, m Metadata) {
	if len(m.Help) > maxHelp {
		m.Help = m.Help[:maxHelp]
	}
	s.told.mu.Lock()
	defer s.told.mu.Unlock()
	if s.told.all == nil {
		s.told.all = map[aboutKey]Metadata{}
	}
	k := aboutKey{space, name}
	if _, known := s.told.all[k]; known || len(s.told.all) < maxMetadata {
		s.told.all[k] = m
	}
}

// Metadata returns what metrics of a reader are, by name.
func (s *Store) Metadata(r Reader) map[string][]Metadata {
	s.told.mu.Lock()
	all := maps.Clone(s.told.all)
	s.told.mu.Unlock()
	out := map[string][]Metadata{}
	for k, m := range all {
		if k.space != "" && !r.sees(k.space) {
			continue
		}
		known := false
		for _, had := range out[k.name] {
			known = known || had == m
		}
		if !known {
			out[k.name] = append(out[k.name], m)
		}
	}
	return out
}
