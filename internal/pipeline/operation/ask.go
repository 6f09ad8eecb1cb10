package operation

import "naru/internal/app"

// Ask says who asks for something and by which key a second asking is known to
// be the same: one actor's operations of one kind and key are one operation.
type Ask struct {
	Actor string // a user's name
	Key   string // Idempotency-Key of the request; "" for none
}

// Filter selects operations, newest first; zero fields select all.
type Filter struct {
	Space  app.SpaceID
	App    app.ID
	State  State
	Before ID  // older than this one
	Limit  int // at most so many
}
