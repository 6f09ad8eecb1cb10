package search

import (
	"iter"
	"unicode"
	"unicode/utf8"
)

// Fold appends text in lower case, byte for byte in the same places: a letter
// whose lower case takes another number of bytes stays as it is. Escape
// sequences of terminals become spaces.
func Fold(dst, text []byte) []byte {
	for i := 0; i < len(text); {
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
