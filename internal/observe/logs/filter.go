package logs

import (
	"math/bits"
	"sync"
	"unicode"
	"unicode/utf8"

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
	seen := sets.Get().(*set)
	defer sets.Put(seen)
	seen.reset()
	hashes(folded, seen)
	f := make(filter, max(8, len(seen.all)*filterBits/8))
	for _, h := range seen.all {
		f.each(h, func(at int, bit byte) bool {
			f[at] |= bit
			return true
		})
	}
	return f
}

// filterOf is the filter of a text, in which lines are apart; nil where looking
// through it costs less.
func filterOf(text []byte) filter {
	if len(text) < filterLeast {
		return nil
	}
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	r.folded = search.Fold(r.folded[:0], text)
	return newFilter(r.folded)
}

// hashes adds the hash of each word of a folded text to a set: search.Words and
// hash in one pass.
func hashes(folded []byte, to *set) {
	h, within := uint64(fnvOffset), false
	for i := 0; i < len(folded); {
		c := folded[i]
		if c < utf8.RuneSelf {
			i++
			if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' {
				h, within = (h^uint64(c))*fnvPrime, true
				continue
			}
		} else {
			r, n := utf8.DecodeRune(folded[i:])
			i += n
			if unicode.IsLetter(r) || unicode.IsNumber(r) {
				for _, c := range folded[i-n : i] {
					h = (h ^ uint64(c)) * fnvPrime
				}
				within = true
				continue
			}
		}
		if within {
			to.add(spread(h))
			h, within = fnvOffset, false
		}
	}
	if within {
		to.add(spread(h))
	}
}

// set is different hashes, in the order in which they came.
type set struct {
	slots []uint64 // 0: free
	all   []uint64
	zero  bool // it holds 0
}

var sets = sync.Pool{New: func() any { return &set{slots: make([]uint64, 1<<17)} }}

func (s *set) reset() {
	clear(s.slots)
	s.all, s.zero = s.all[:0], false
}

func (s *set) add(h uint64) {
	if h == 0 {
		if !s.zero {
			s.zero, s.all = true, append(s.all, 0)
		}
		return
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return
		case 0:
			s.slots[i], s.all = h, append(s.all, h)
			if 2*len(s.all) > len(s.slots) {
				s.grow()
			}
			return
		}
	}
}

func (s *set) grow() {
	s.slots = make([]uint64, 2*len(s.slots))
	mask := uint64(len(s.slots) - 1)
	for _, h := range s.all {
		i := h & mask
		for h != 0 && s.slots[i] != 0 {
			i = (i + 1) & mask
		}
		if h != 0 {
			s.slots[i] = h
		}
	}
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

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// hash is FNV-1a with the last step of MurmurHash3, which spreads it: it is
// written down, so it must stay what it is.
func hash(word []byte) uint64 {
	h := uint64(fnvOffset)
	for _, c := range word {
		h = (h ^ uint64(c)) * fnvPrime
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
