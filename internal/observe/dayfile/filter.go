package dayfile

import "math/bits"

// Filter tells of most things that they are not in a block (B. Bloom, Space/time
// trade-offs in hash coding with allowable errors, 1970). It takes a byte for
// each different thing and is wrong about one in fifty. Filters are written down,
// so how they are made must stay as it is.
type Filter []byte

const (
	filterBits = 8 // for a thing
	filterHash = 5 // bits that a thing sets
)

// NewFilter is for so many different things, which are told it by Add.
func NewFilter(things int) Filter { return make(Filter, max(8, things*filterBits/8)) }

// Add tells a filter of a thing: its hash.
func (f Filter) Add(h uint64) {
	step := bits.RotateLeft64(h, 32) | 1
	for range filterHash {
		bit, _ := bits.Mul64(h, uint64(len(f))*8)
		f[bit/8] |= 1 << (bit % 8)
		h += step // Kirsch and Mitzenmacher, Less hashing, same performance, 2006
	}
}

// May reports whether a block can hold all of the things. A filter that is not
// there knows nothing.
func (f Filter) May(things []uint64) bool {
	if len(f) == 0 {
		return true
	}
	for _, h := range things {
		if !f.has(h) {
			return false
		}
	}
	return true
}

func (f Filter) has(h uint64) bool {
	step := bits.RotateLeft64(h, 32) | 1
	for range filterHash {
		bit, _ := bits.Mul64(h, uint64(len(f))*8)
		if f[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
		h += step
	}
	return true
}

// Of FNV-1a, for who hashes while he reads.
const (
	HashStart = 14695981039346656037
	HashPrime = 1099511628211
)

// Hash is FNV-1a, spread.
func Hash[T string | []byte](thing T) uint64 {
	h := uint64(HashStart)
	for i := range len(thing) {
		h = (h ^ uint64(thing[i])) * HashPrime
	}
	return Spread(h)
}

// Spread is the last step of MurmurHash3.
func Spread(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
