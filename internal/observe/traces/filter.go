package traces

import (
	"math/bits"

	"naru/internal/observe/dayfile"
)

// The things that a filter knows. They are written down, so they must stay what
// they are.
const (
	ofService = 's'
	ofName    = 'n'
	ofKey     = 'k'
	ofTag     = 't'
	ofTrace   = 'i'
	ofRemote  = 'r'
)

// thing is the hash of what is called so.
func thing(kind byte, text uint64) uint64 {
	return dayfile.Spread(text ^ uint64(kind)*0x9e3779b97f4a7c15)
}

// pair is the hash of a tag.
func pair(key, value uint64) uint64 { return thing(ofTag, key*31+bits.RotateLeft64(value, 17)) }
