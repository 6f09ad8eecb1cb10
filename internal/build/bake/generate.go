package bake

import (
	"maps"
	"slices"
	"time"

	"naru/internal/build/bake/deb"
	"naru/internal/build/bake/layer"
	"naru/internal/build/bake/settle"
)

// settled is what maintainer scripts would have made of the packages so far.
func (m *making) settled(newest time.Time) ([]layer.File, error) {
	in := settle.Input{Tree: m.tree, Date: newest}
	for _, name := range slices.Sorted(maps.Keys(m.opened())) {
		in.Packages = append(in.Packages, m.opened()[name])
	}
	return settle.Run(in)
}

// opened are the control files of the packages unpacked so far. It is called
// between layers only, so packages of the next one have not been opened yet.
func (m *making) opened() map[string]deb.Stanza {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.controls
}

// commands are the links to what npm packages bring.
func (m *making) commands(time.Time) ([]layer.File, error) {
	var files []layer.File
	for _, pin := range m.lock.Npm {
		files = append(files, pin.Links()...)
	}
	return files, nil
}

// declared are the files of the Spec itself.
func (m *making) declared(time.Time) ([]layer.File, error) {
	var files []layer.File
	for _, f := range m.spec.Files {
		mode, err := f.mode()
		if err != nil {
			return nil, err
		}
		files = append(files, layer.File{Path: f.Path[1:], Mode: mode & 0o777, Body: []byte(f.Content)})
	}
	return files, nil
}
