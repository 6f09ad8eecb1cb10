package password

import "sync"

// Desk bounds the passwords that a process compares at once, whichever list they
// are for.
type Desk struct {
	slots   chan struct{} // one for each that may be
	running sync.WaitGroup
}

// NewDesk makes one for so many at once, at least one.
func NewDesk(atOnce int) *Desk { return &Desk{slots: make(chan struct{}, max(1, atOnce))} }

// Compare compares in its own time: who waits for the result may leave.
func (d *Desk) Compare(t *Try) {
	d.running.Go(func() {
		t.list.turn.Lock() // first, so that a list takes no slot from others while it waits
		defer t.list.turn.Unlock()
		d.slots <- struct{}{}
		defer func() { <-d.slots }()
		t.compare()
	})
}

// Wait waits until nothing is compared. Compare must not be called any more.
func (d *Desk) Wait() { d.running.Wait() }
