// Package search finds lines: words, phrases and fields, joined by AND, OR and
// NOT.
//
// The language is that of SQLite's FTS5 (https://sqlite.org/fts5.html, 3), with
// fields beside it:
//
//	timeout                      the word, in any case
//	time*                        a word that begins so
//	"connection reset"           words one behind the other
//	10.0.0.1                     the same: what holds other characters is a phrase
//	^panic                       at the beginning of the line
//	NEAR(cart payment, 5)        with at most 5 words between them; 10 unless told
//	a b, a AND b, a OR b, a NOT b, (a OR b) c
//	status=500  user.id=42  level!=info  took>=250  path=/cart*
//
// A field is one of the line itself (source, process, instance, index, stream)
// or, in lines that are JSON or key=value pairs, one of those; .source is one of
// those too. Lines of the gateway have those of OfRouter. Objects are entered with dots. What = and != compare may end in *;
// the other four compare numbers.
//
// A word is a run of letters and digits, as for FTS5's unicode61, but accents
// count. What an escape sequence of a terminal says is no word.
package search

import (
	"bytes"
	"slices"
)

// Expr is a question to a line.
type Expr struct {
	root   node
	needs  [2][][]byte // by form
	common [][]byte    // of both
}

// Line is what is asked.
type Line struct {
	Text   []byte
	Folded []byte                    // Fold of Text, of the same length
	Form   Form                      // how it is written
	Meta   func(field string) string // the line's own fields, those in Own
}

// Own are the fields that are not in a line's text.
var Own = []string{"source", "process", "instance", "index", "stream"}

type node interface {
	match(*Line) bool
	// needs adds the words without which no line of a form matches.
	needs(out [][]byte, of Form) [][]byte
}

// Match reports whether a line is meant.
func (e *Expr) Match(l *Line) bool { return e.root.match(l) }

// Needs are the folded words that each matching line of a form holds, as whole
// words.
func (e *Expr) Needs(of Form) [][]byte { return e.needs[of] }

// Rarest is the longest of what each matching line of the forms holds: who looks
// through a long text looks for it first. It is empty where there is none.
func (e *Expr) Rarest(forms ...Form) []byte {
	words := e.common
	if len(forms) == 1 {
		words = e.needs[forms[0]]
	}
	var best []byte
	for _, w := range words {
		if len(w) > len(best) {
			best = w
		}
	}
	return best
}

func newExpr(root node) *Expr {
	e := &Expr{root: root, needs: [2][][]byte{root.needs(nil, Text), root.needs([][]byte{ofRouter}, Router)}}
	e.common = both(slices.Clone(e.needs[Text]), e.needs[Router])
	return e
}

// both are the words that are in a and in b; a is written over.
func both(a, b [][]byte) [][]byte {
	kept := a[:0]
	for _, w := range a {
		if slices.ContainsFunc(b, func(o []byte) bool { return bytes.Equal(w, o) }) {
			kept = append(kept, w)
		}
	}
	return kept
}

type and []node

func (a and) match(l *Line) bool {
	for _, n := range a {
		if !n.match(l) {
			return false
		}
	}
	return true
}

func (a and) needs(out [][]byte, of Form) [][]byte {
	for _, n := range a {
		out = n.needs(out, of)
	}
	return out
}

type or []node

func (o or) match(l *Line) bool {
	for _, n := range o {
		if n.match(l) {
			return true
		}
	}
	return false
}

// needs of an OR are those that all of its parts have.
func (o or) needs(out [][]byte, of Form) [][]byte {
	common := o[0].needs(nil, of)
	for _, n := range o[1:] {
		common = both(common, n.needs(nil, of))
	}
	return append(out, common...)
}

type not struct{ of node }

func (n not) match(l *Line) bool                  { return !n.of.match(l) }
func (n not) needs(out [][]byte, _ Form) [][]byte { return out }
