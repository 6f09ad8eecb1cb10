package logs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"naru/internal/observe/dayfile"
	"naru/internal/observe/logs/search"
)

// told are the hashes that a filter is made of, sorted.
func told(text []byte) []uint64 {
	s := sets.Get().(*set)
	defer sets.Put(s)
	s.reset()
	hashes(text, s)
	return slices.Sorted(slices.Values(s.all))
}

// wanted are those of the words that a search finds.
func wanted(text []byte) []uint64 {
	all := map[uint64]bool{}
	for _, w := range search.Words(text) {
		all[dayfile.Hash(w)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// TestHashesOfAnyText has texts of all kinds of bytes, words at all places.
func TestHashesOfAnyText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	pieces := []string{"a", "Z", "9", "/", ":", "@", "[", "`", "{", "\x00", "\x7f", " ", "é", "日", "½", "\xff", "\xe6\x97", "word", "0123456789abcdef"}
	for range 20_000 {
		var text []byte
		for range r.IntN(120) {
			text = append(text, pieces[r.IntN(len(pieces))]...)
		}
		if got, want := told(text), wanted(text); !slices.Equal(got, want) {
			t.Fatalf("%q has %d hashes, want %d", text, len(got), len(want))
		}
	}
}

// TestHashesAreThoseOfWords has texts with words of all kinds, more of them than
// a set has room for at first.
func TestHashesAreThoseOfWords(t *testing.T) {
	text := []byte("a b a  über 日本語 x1-y2 É\xff\xc3 end Ⅷ½ ")
	for i := range 200_000 {
		text = fmt.Appendf(text, "w%d ", i%100_000)
	}
	text = append(text, "last"...)
	if got, want := told(text), wanted(text); !slices.Equal(got, want) {
		t.Errorf("%d hashes of %d words", len(got), len(want))
	}

	f := filterOf(text)
	if !f.May(hashesOf([][]byte{[]byte("w99999"), []byte("über"), []byte("last")})) {
		t.Error("a word that is there")
	}
	wrong := 0
	for i := range 1000 {
		if f.May([]uint64{dayfile.Hash(fmt.Sprintf("nowhere%d", i))}) {
			wrong++
		}
	}
	if wrong > 50 {
		t.Errorf("wrong about %d of 1000", wrong)
	}
	if got := filterOf(slices.Repeat([]byte("x "), 10)); got != nil {
		t.Errorf("a short text has %d bytes", len(got))
	}
}
