package logs

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"naru/internal/observe/dayfile"
	"naru/internal/observe/logs/search"
)

// filterLeast is how long a text is of which a filter is made.
const filterLeast = 64 << 10

func newFilter(folded []byte) dayfile.Filter {
	seen := sets.Get().(*set)
	defer sets.Put(seen)
	seen.reset()
	hashes(folded, seen)
	f := dayfile.NewFilter(len(seen.all))
	for _, h := range seen.all {
		f.Add(h)
	}
	return f
}

// filterOf is the filter of a text, in which lines are apart; nil where looking
// through it costs less.
func filterOf(text []byte) dayfile.Filter {
	if len(text) < filterLeast {
		return nil
	}
	r := rooms.Get().(*room)
	defer rooms.Put(r)
	r.folded = search.Fold(r.folded[:0], text)
	return newFilter(r.folded)
}

// hashes adds the hash of each word of a folded text to a set: search.Words and
// dayfile.Hash in one pass.
func hashes(folded []byte, to *set) {
	h, within := uint64(dayfile.HashStart), false
	for i := 0; i < len(folded); {
		c := folded[i]
		if c < utf8.RuneSelf {
			i++
			if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' {
				h, within = (h^uint64(c))*dayfile.HashPrime, true
				continue
			}
		} else {
			r, n := utf8.DecodeRune(folded[i:])
			i += n
			if unicode.IsLetter(r) || unicode.IsNumber(r) {
				for _, c := range folded[i-n : i] {
					h = (h ^ uint64(c)) * dayfile.HashPrime
				}
				within = true
				continue
			}
		}
		if within {
			to.add(dayfile.Spread(h))
			h, within = dayfile.HashStart, false
		}
	}
	if within {
		to.add(dayfile.Spread(h))
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

// hashesOf are those of words as a search asks for them.
func hashesOf(words [][]byte) (out []uint64) {
	for _, w := range words {
		out = append(out, dayfile.Hash(w))
	}
	return out
}
