package traces

import "math/bits"

// A filter tells of most things that they are not in a block (B. Bloom,
// Space/time trade-offs in hash coding with allowable errors, 1970). It takes a
// byte for each different thing and is wrong about one in fifty.
type filter []byte

const (
	filterBits = 8 // for a thing
	filterHash = 5 // bits that a thing sets
)

func newFilter(things map[uint64]struct{}) filter {
	f := make(filter, max(8, len(things)*filterBits/8))
	for h := range things {
		f.each(h, func(at int, bit byte) bool {
			f[at] |= bit
			return true
		})
	}
	return f
}

// each goes through the bits of a hash (Kirsch and Mitzenmacher, Less hashing,
// same performance, 2006).
func (f filter) each(h uint64, do func(at int, bit byte) bool) {
	step := bits.RotateLeft64(h, 32) | 1
	for range filterHash {
		bit, _ := bits.Mul64(h, uint64(len(f))*8)
		if !do(int(bit/8), 1<<(bit%8)) {
			return
		}
		h += step
	}
}

// may reports whether a block can hold all of the things.
func (f filter) may(things []uint64) bool {
	if len(f) == 0 {
		return true
	}
	for _, h := range things {
		there := true
		f.each(h, func(at int, bit byte) bool {
			there = f[at]&bit != 0
			return there
		})
		if !there {
			return false
		}
	}
	return true
}

// The things that a filter knows. They are written down, as the hashes are, so
// both must stay what they are.
const (
	ofService = 's'
	ofName    = 'n'
	ofKey     = 'k'
	ofTag     = 't'
	ofTrace   = 'i'
	ofRemote  = 'r'
)

// hash is FNV-1a with the last step of MurmurHash3, which spreads it.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return spread(h)
}

func spread(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// thing is the hash of what is called so.
func thing(kind byte, text uint64) uint64 { return spread(text ^ uint64(kind)*0x9e3779b97f4a7c15) }

// pair is the hash of a tag.
func pair(key, value uint64) uint64 { return thing(ofTag, key*31+bits.RotateLeft64(value, 17)) }
