package cli

import "time"

// lookEvery is how often the size is looked at: Windows sends no signal.
const lookEvery = 500 * time.Millisecond

// sizeChanges tells when the terminal's size may have changed, until stop is
// called.
func sizeChanges() (changed <-chan time.Time, stop func()) {
	tick := time.NewTicker(lookEvery)
	return tick.C, tick.Stop
}
