package supervise

import "time"

// Renewal tells how a process took another's place.
type Renewal struct {
	Child string
	Old   int           // process that finishes what it has and ends then
	New   int           // process that does the work now
	Text  string        // what it said when it was ready
	Took  time.Duration // from the wish until the new one was ready
}

// mostLeaving is how many replaced processes of a child may still be finishing;
// the oldest is ended for another.
const mostLeaving = 4
