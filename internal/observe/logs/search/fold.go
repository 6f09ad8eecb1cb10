package search

import (
	"encoding/binary"
	"iter"
	"unicode"
	"unicode/utf8"
)

// Fold appends text in lower case, byte for byte in the same places: a letter
// whose lower case takes another number of bytes stays as it is. Escape
// sequences of terminals become spaces.
func Fold(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		n := foldPlain(dst[len(dst):cap(dst)], text[i:])
		dst, i = dst[:len(dst)+n], i+n
		if i == len(text) {
			break
		}
		c := text[i]
		switch {
		case c == 0x1b:
			n := escape(text[i:])
			for range n {
				dst = append(dst, ' ')
			}
			i += n
		case c < utf8.RuneSelf:
			dst = append(dst, lower[c])
			i++
		default:
			r, n := utf8.DecodeRune(text[i:])
			if l := unicode.ToLower(r); r != utf8.RuneError && utf8.RuneLen(l) == n {
				dst = utf8.AppendRune(dst, l)
			} else {
				dst = append(dst, text[i:i+n]...)
			}
			i += n
		}
	}
	return dst
}

// foldPlain folds eight bytes at a time, up to the first of which one is not
// plain ASCII or begins an escape sequence, and returns how many it has folded.
func foldPlain(dst, text []byte) (n int) {
	const ones = 0x0101010101010101
	for n+8 <= len(text) && n+8 <= len(dst) {
		x := binary.LittleEndian.Uint64(text[n:])
		esc := x ^ 0x1b*ones
		if (x|(esc-ones)&^esc)&(0x80*ones) != 0 { // a high bit, or a byte of zero in esc
			return n
		}
		// Bit 7 of each byte from 'A' on, without those behind 'Z'.
		upper := (x + (0x80-'A')*ones) &^ (x + (0x7f-'Z')*ones) & (0x80 * ones)
		binary.LittleEndian.PutUint64(dst[n:], x|upper>>2)
		n += 8
	}
	return n
}

var lower = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		t[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			t[c] = byte(c) + 'a' - 'A'
		}
	}
	return t
}()

// escape is the length of the escape sequence a text begins with (ECMA-48, 5.4).
func escape(text []byte) int {
	if len(text) < 2 || text[1] != '[' {
		return 1
	}
	n := 2
	for n < len(text) && text[n] >= 0x20 && text[n] < 0x40 {
		n++
	}
	if n < len(text) && text[n] >= 0x40 && text[n] < 0x7f {
		n++
	}
	return n
}

// Words goes through the words of a folded text, and where each begins.
func Words(folded []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for i := 0; i < len(folded); {
			n := letter(folded[i:])
			if n == 0 {
				i += width(folded[i:])
				continue
			}
			from := i
			for n > 0 && i < len(folded) {
				i += n
				n = letter(folded[i:])
			}
			if !yield(from, folded[from:i]) {
				return
			}
		}
	}
}

// letter is the length of the letter or digit a text begins with; 0: it does not.
func letter(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	if c := text[0]; c < utf8.RuneSelf {
		if part[c] {
			return 1
		}
		return 0
	}
	if r, n := utf8.DecodeRune(text); unicode.IsLetter(r) || unicode.IsNumber(r) {
		return n
	}
	return 0
}

var part = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	return t
}()

func width(text []byte) int {
	_, n := utf8.DecodeRune(text)
	return n
}

// ends reports that no word goes on across a place.
func ends(text []byte, at int) bool {
	if at == 0 || at == len(text) {
		return true
	}
	r, _ := utf8.DecodeLastRune(text[:at])
	return !unicode.IsLetter(r) && !unicode.IsNumber(r) || letter(text[at:]) == 0
}
