package route

import "strings"

// Piece cuts the first piece off the text of a header field or a redirect: plain
// text, in which {{ stands for { and }} for }, and the name in the braces behind
// it. found is false where there are none any more; rest then is what begins with
// a brace that is never closed, or nothing.
func Piece(text string) (plain, name, rest string, found bool) {
	var b strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "{}")
		if at < 0 {
			break
		}
		b.WriteString(text[:at])
		brace, after := text[at], text[at+1:]
		switch {
		case after != "" && after[0] == brace: // twice is once
			b.WriteByte(brace)
			text = after[1:]
		case brace == '}': // closes nothing
			b.WriteByte(brace)
			text = after
		default:
			name, rest, found = strings.Cut(after, "}")
			if !found {
				return b.String(), "", text[at:], false
			}
			return b.String(), name, rest, true
		}
	}
	b.WriteString(text)
	return b.String(), "", "", false
}
