package logs

import (
	"encoding/binary"
	"math/bits"
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

// hashes adds the hash of each word of a folded text to a set. Words are those of
// search.Words, hashes those of dayfile.Hash.
func hashes(folded []byte, to *set) {
	from := -1 // where the word began that goes on; -1: none
	for i := 0; i < len(folded); {
		if i+64 <= len(folded) {
			if is, ok := letters(folded[i : i+64]); ok {
				before := uint64(0)
				if from >= 0 {
					before = 1
				}
				behind := is<<1 | before
				begin, end := is&^behind, behind&^is
				for ; end != 0; end &= end - 1 {
					if from < 0 {
						from = i + bits.TrailingZeros64(begin)
						begin &= begin - 1
					}
					to.word(folded, from, i+bits.TrailingZeros64(end))
					from = -1
				}
				if begin != 0 {
					from = i + bits.TrailingZeros64(begin)
				}
				i += 64
				continue
			}
		}
		for end := min(i+64, len(folded)); i < end; {
			n, is := letter(folded[i:])
			switch {
			case is && from < 0:
				from = i
			case !is && from >= 0:
				to.word(folded, from, i)
				from = -1
			}
			i += n
		}
	}
	if from >= 0 {
		to.word(folded, from, len(folded))
	}
}

// letter is how long the first character of a text is, and whether it is a letter
// or a digit.
func letter(text []byte) (n int, is bool) {
	if c := text[0]; c < utf8.RuneSelf {
		return 1, 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z'
	}
	r, n := utf8.DecodeRune(text)
	return n, unicode.IsLetter(r) || unicode.IsNumber(r)
}

// letters has a bit for each of 64 bytes that is a letter or a digit; ok says that
// all are ASCII. It looks at eight of them at once.
func letters(text []byte) (is uint64, ok bool) {
	const ones = 0x0101010101010101
	other := uint64(0)
	for i := 0; i < 64; i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		other |= x
		l := x | 0x20*ones
		// The highest bit of each byte: from the first on, without those behind the last.
		letter := (l + (0x80-'a')*ones) &^ (l + (0x7f-'z')*ones)
		digit := (x + (0x80-'0')*ones) &^ (x + (0x7f-'9')*ones)
		is |= ((letter | digit) & (0x80 * ones) >> 7 * 0x0102040810204080 >> 56) << i
	}
	return is, other&(0x80*ones) == 0
}

// set is different hashes of words, in the order in which they came. Most words
// of a log are short and come again and again: they are known by themselves, and
// hashed only once.
type set struct {
	slots []uint64 // 0: free; what is known, each at its place or behind it
	shift int      // of 64 bits, so that a place is left
	used  int
	all   []uint64
}

var sets = sync.Pool{New: func() any { return &set{slots: make([]uint64, 1<<15), shift: 64 - 15} }}

func (s *set) reset() {
	clear(s.slots)
	s.all, s.used = s.all[:0], 0
}

// word adds the hash of text[from:to].
func (s *set) word(text []byte, from, to int) {
	if to-from > 8 {
		s.add(0, text[from:to])
		return
	}
	var v uint64 // no byte of a word is zero
	if from+8 <= len(text) {
		v = binary.LittleEndian.Uint64(text[from:]) & (1<<(8*uint(to-from)) - 1)
	} else {
		for i, c := range text[from:to] {
			v |= uint64(c) << (8 * i)
		}
	}
	if s.slots[v*golden>>s.shift] != v {
		s.add(v, text[from:to])
	}
}

const golden = 0x9e3779b97f4a7c15

// add adds the hash of a word that is known as a number; 0: as its hash.
func (s *set) add(known uint64, word []byte) {
	h := uint64(0)
	if known == 0 {
		h = dayfile.Hash(word)
		known = h
	}
	for i := known * golden >> s.shift; ; i = (i + 1) & uint64(len(s.slots)-1) {
		switch s.slots[i] {
		case known:
			return // a hash that is zero, too: there is none
		case 0:
			s.slots[i] = known
			if h == 0 {
				h = dayfile.Hash(word)
			}
			s.all = append(s.all, h)
			if s.used++; 4*s.used > 3*len(s.slots) {
				s.grow()
			}
			return
		}
	}
}

func (s *set) grow() {
	old := s.slots
	s.slots, s.shift = make([]uint64, 2*len(old)), s.shift-1
	for _, v := range old {
		if v == 0 {
			continue
		}
		i := v * golden >> s.shift
		for s.slots[i] != 0 {
			i = (i + 1) & uint64(len(s.slots)-1)
		}
		s.slots[i] = v
	}
}

// hashesOf are those of words as a search asks for them.
func hashesOf(words [][]byte) (out []uint64) {
	for _, w := range words {
		out = append(out, dayfile.Hash(w))
	}
	return out
}
