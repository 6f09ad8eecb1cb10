package gateway

import "sync"

// Buffers are borrowed only while bytes are in them: a connection that waits
// holds none.
type (
	small [8 << 10]byte  // a request with its first bytes of body
	large [66 << 10]byte // bodies on their way: 64 KiB in one piece, with room around
)

var (
	smalls = sync.Pool{New: func() any { return new(small) }}
	larges = sync.Pool{New: func() any { return new(large) }}
)

func getSmall() *small {
	b, _ := smalls.Get().(*small)
	return b
}

func getLarge() *large {
	b, _ := larges.Get().(*large)
	return b
}

// Room kept free in a large buffer: before what is read, for the head or the
// chunk size put there, and after it, for what ends a chunked body.
const (
	room  = 1 << 10
	spare = 8
)
