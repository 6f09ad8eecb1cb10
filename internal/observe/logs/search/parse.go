package search

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"naru/internal/fault"
)

// Limits of a question: longer or deeper ones are refused.
const (
	MaxText  = 4096 // bytes
	maxDepth = 32   // parentheses in each other
)

// Parse reads a question. Its errors are faults of the field "search".
func Parse(text string) (*Expr, error) {
	if len(text) > MaxText {
		return nil, refuse("it has %d bytes; the limit is %d", len(text), MaxText)
	}
	tokens, err := scan(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, refuse("%s at %d has no ( before it", t, t.at)
	}
	return newExpr(root), nil
}

func refuse(format string, args ...any) error {
	return fault.New(fault.Invalid, "search", "the search cannot be read: "+format, args...).
		WithTry(`words, "phrases", time*, AND, OR, NOT, ( ), status=500, took>=250; put what holds other characters into quotes`)
}

type kind int

const (
	end     kind = iota
	word         // a bare word, or text in quotes
	and_         // AND
	or_          // OR
	not_         // NOT
	open         // (
	shut         // )
	comma        // ,
	caret        // ^
	compare      // = != < <= > >=
)

type token struct {
	kind   kind
	text   string
	at     int  // its first character's number, from 1
	quoted bool // text was in quotes
	prefix bool // a * follows
	glued  bool // no space before it
}

func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return strconv.Quote(t.text)
}

// scan cuts a question into tokens.
func scan(text string) ([]token, error) {
	var out []token
	space := true
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if unicode.IsSpace(r) {
			i, space = i+n, true
			continue
		}
		t := token{at: utf8.RuneCountInString(text[:i]) + 1, glued: !space}
		space = false
		size := 1
		switch {
		case r == '(':
			t.kind, t.text = open, "("
		case r == ')':
			t.kind, t.text = shut, ")"
		case r == ',':
			t.kind, t.text = comma, ","
		case r == '^':
			t.kind, t.text = caret, "^"
		case strings.ContainsRune("=!<>", r):
			t.kind, t.text = compare, text[i:i+1]
			if i+1 < len(text) && text[i+1] == '=' && r != '=' {
				t.text = text[i : i+2]
			}
			if t.text == "!" {
				return nil, refuse("! at %d is not followed by =", t.at)
			}
			size = len(t.text)
		case r == '"':
			t.kind, t.quoted = word, true
			var ok bool
			if t.text, size, ok = quoted(text[i:]); !ok {
				return nil, refuse("the quote at %d has no end", t.at)
			}
		default:
			t.kind = word
			size = bare(text[i:])
			t.text = text[i : i+size]
			if k, ok := keywords[t.text]; ok {
				t.kind = k
			}
		}
		i += size
		if t.kind == word {
			if !t.quoted && strings.HasSuffix(t.text, "*") {
				t.text, t.prefix = t.text[:len(t.text)-1], true
			} else if t.quoted && strings.HasPrefix(text[i:], "*") {
				t.prefix = true
				i++
			}
		}
		out = append(out, t)
	}
	return append(out, token{kind: end, at: utf8.RuneCountInString(text) + 1}), nil
}

var keywords = map[string]kind{"AND": and_, "OR": or_, "NOT": not_}

// quoted reads "a ""b""", in which a quote is written twice.
func quoted(text string) (s string, size int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

// bare is the length of a word without quotes.
func bare(text string) int {
	for i, r := range text {
		if unicode.IsSpace(r) || strings.ContainsRune(`()",=!<>`, r) {
			return max(i, 1)
		}
	}
	return len(text)
}

type parser struct {
	tokens []token
	i      int
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != end {
		p.i++
	}
	return t
}

func (p *parser) or(depth int) (node, error) {
	if depth > maxDepth {
		return nil, refuse("more than %d parentheses in each other", maxDepth)
	}
	first, err := p.and(depth)
	if err != nil {
		return nil, err
	}
	all := or{first}
	for p.peek().kind == or_ {
		p.next()
		n, err := p.and(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	if len(all) == 1 {
		return first, nil
	}
	return all, nil
}

func (p *parser) and(depth int) (node, error) {
	var all and
	for {
		n, err := p.term(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
		switch p.peek().kind {
		case and_:
			p.next()
			continue
		case word, open, not_, caret:
			continue
		}
		if len(all) == 1 {
			return all[0], nil
		}
		return all, nil
	}
}

func (p *parser) term(depth int) (node, error) {
	t := p.next()
	switch t.kind {
	case not_:
		n, err := p.term(depth)
		return not{n}, err
	case open:
		n, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if s := p.next(); s.kind != shut {
			return nil, refuse("the ( at %d has no )", t.at)
		}
		return n, nil
	case caret:
		w := p.next()
		if w.kind != word {
			return nil, refuse("^ at %d stands before a word, not before %s", t.at, w)
		}
		return words(w, true)
	case word:
		if op := p.peek(); op.kind == compare {
			return p.field(t)
		}
		if t.text == "NEAR" && !t.quoted && p.peek().kind == open && p.peek().glued {
			return p.near(t)
		}
		return words(t, false)
	}
	return nil, refuse("%s at %d where a word should be", t, t.at)
}

func words(t token, first bool) (node, error) {
	ph := newPhrase(t.text, t.prefix, first)
	if len(ph.words) == 0 {
		return nil, refuse("%s at %d holds no letter and no digit", t, t.at)
	}
	return ph, nil
}

func (p *parser) field(name token) (node, error) {
	op := p.next()
	v := p.next()
	if v.kind != word && v.kind != and_ && v.kind != or_ && v.kind != not_ {
		return nil, refuse("%s%s at %d has no value", name.text, op.text, name.at)
	}
	if name.prefix || name.text == "" || strings.Trim(name.text, ".") == "" {
		return nil, refuse("%s at %d is no name of a field", name, name.at)
	}
	return newField(name.text, op.text, v.text, v.prefix)
}

func (p *parser) near(t token) (node, error) {
	p.next() // the (
	n := near{within: 10}
	for p.peek().kind == word {
		w := p.next()
		ph := newPhrase(w.text, w.prefix, false)
		if len(ph.words) == 0 {
			return nil, refuse("%s at %d holds no letter and no digit", w, w.at)
		}
		n.phrases = append(n.phrases, ph)
	}
	if p.peek().kind == comma {
		p.next()
		d := p.next()
		within, err := strconv.Atoi(d.text)
		if err != nil || within < 0 {
			return nil, refuse("NEAR at %d: %s is not a number of words", t.at, d)
		}
		n.within = within
	}
	if s := p.next(); s.kind != shut || len(n.phrases) == 0 {
		return nil, refuse("NEAR at %d is written NEAR(one two, 5)", t.at)
	}
	return n, nil
}
