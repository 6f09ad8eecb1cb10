package logs

import (
	"math/bits"

	"naru/internal/observe/logs/search"
)

// A filter tells of most words that they are not in a block (B. Bloom, Space/time
// trade-offs in hash coding with allowable errors, 1970). It takes a byte for
// each different word and is wrong about one word in fifty.
type filter []byte

const (
	filterBits  = 8 // for a word
	filterHash  = 5 // bits that a word sets
	filterLeast = 64 << 10
)

func newFilter(folded []byte) filter {
	seen := make(map[uint64]struct{}, len(folded)/32)
	for _, w := range search.Words(folded) {
		seen[hash(w)] = struct{}{}
	}
	f := make(filter, max(8, len(seen)*filterBits/8))
	for h := range seen {
		f.each(h, func(at int, bit byte) bool {
			f[at] |= bit
			return true
		})
	}
	return f
}

// filterOf is the filter of the texts of lines; nil where looking through them
// costs less.
func filterOf(lines []*Line) filter {
	n := size(lines)
	if n < filterLeast {
		return nil
	}
	folded := make([]byte, 0, n)
	for _, l := range lines {
		folded = append(search.Fold(folded, []byte(l.Text)), '\n')
	}
	return newFilter(folded)
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

// may reports whether a block can hold all of the words.
func (f filter) may(words [][]byte) bool {
	if len(f) == 0 {
		return true
	}
	for _, w := range words {
		there := true
		f.each(hash(w), func(at int, bit byte) bool {
			there = f[at]&bit != 0
			return there
		})
		if !there {
			return false
		}
	}
	return true
}

// hash is FNV-1a with the last step of MurmurHash3, which spreads it: it is
// written down, so it must stay what it is.
func hash(word []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range word {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
