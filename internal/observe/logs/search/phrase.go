package search

import "bytes"

// phrase is words one behind the other.
type phrase struct {
	words  [][]byte // at least one
	prefix bool     // the last is the beginning of a word
	first  bool     // the first is the first word of the line
}

// newPhrase cuts text into words.
func newPhrase(text string, prefix, first bool) phrase {
	p := phrase{prefix: prefix, first: first}
	for _, w := range Words(Fold(nil, []byte(text))) {
		p.words = append(p.words, w)
	}
	return p
}

func (p phrase) match(l *Line) bool {
	text := l.Folded
	for from := 0; ; {
		i := bytes.Index(text[from:], p.words[0])
		if i < 0 {
			return false
		}
		at := from + i
		if ends(text, at) && p.goesOn(text, at) && (!p.first || opens(text[:at])) {
			return true
		}
		from = at + 1
	}
}

// goesOn reports that all words stand at a place and behind it.
func (p phrase) goesOn(text []byte, at int) bool {
	for n, w := range p.words {
		if !bytes.HasPrefix(text[at:], w) {
			return false
		}
		at += len(w)
		last := n == len(p.words)-1
		if !ends(text, at) && !(last && p.prefix) {
			return false
		}
		if last {
			return true
		}
		for at < len(text) && letter(text[at:]) == 0 {
			at += width(text[at:])
		}
	}
	return false
}

// opens reports that no word stands in a text.
func opens(text []byte) bool {
	for range Words(text) {
		return false
	}
	return true
}

func (p phrase) needs(out [][]byte, _ Form) [][]byte {
	if p.prefix {
		return append(out, p.words[:len(p.words)-1]...)
	}
	return append(out, p.words...)
}

// near is phrases with few words between the first and the last of them.
type near struct {
	phrases []phrase
	within  int
}

func (n near) match(l *Line) bool {
	var words [][]byte
	for _, w := range Words(l.Folded) {
		words = append(words, w)
	}
	// Where each phrase stands, as the numbers of its words.
	at := make([][]int, len(n.phrases))
	for i, p := range n.phrases {
		for j := range words {
			if p.stands(words[j:]) {
				at[i] = append(at[i], j)
			}
		}
		if len(at[i]) == 0 {
			return false
		}
	}
	// The closest set of places: move the first of them on until they are near.
	next := make([]int, len(at))
	for {
		first, last := 0, 0
		for i := range at {
			if at[i][next[i]] < at[first][next[first]] {
				first = i
			}
			if at[i][next[i]] > at[last][next[last]] {
				last = i
			}
		}
		if at[last][next[last]]-at[first][next[first]]-len(n.phrases[first].words) <= n.within {
			return true
		}
		if next[first]++; next[first] == len(at[first]) {
			return false
		}
	}
}

func (p phrase) stands(words [][]byte) bool {
	if len(words) < len(p.words) {
		return false
	}
	for i, w := range p.words {
		if last := i == len(p.words)-1; last && p.prefix && bytes.HasPrefix(words[i], w) {
			continue
		}
		if !bytes.Equal(words[i], w) {
			return false
		}
	}
	return true
}

func (n near) needs(out [][]byte, of Form) [][]byte {
	for _, p := range n.phrases {
		out = p.needs(out, of)
	}
	return out
}
