package logs

import (
	"sync"

	"naru/internal/app"
)

// Changed returns a channel that gets a value after lines of the app were
// appended, and a function that ends that. Several appends may be one value, so
// read until nothing is left.
func (b *Book) Changed(a app.ID) (<-chan struct{}, func()) { return b.bell.listen(a) }

// bell tells followers that there is something to read.
type bell struct {
	mu    sync.Mutex
	rings map[app.ID]map[chan struct{}]bool
}

func (b *bell) listen(a app.ID) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rings[a] == nil {
		b.rings[a] = map[chan struct{}]bool{}
	}
	b.rings[a][c] = true
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.rings[a], c)
		if len(b.rings[a]) == 0 {
			delete(b.rings, a)
		}
	}
}

func (b *bell) ring(apps map[app.ID]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for a := range apps {
		for c := range b.rings[a] {
			select {
			case c <- struct{}{}:
			default: // it rings already
			}
		}
	}
}
