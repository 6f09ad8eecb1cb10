package gateway

import "naru/internal/route"

// template is a text with places for what a request says, read once for all
// requests.
type template []piece

// piece is plain text and what stands behind it.
type piece struct {
	text   string
	stands placeholder
}

// placeholder is what a request puts into a template.
type placeholder int

const (
	nothing     placeholder = iota
	visitorAddr             // the visitor's address
	hostName                // without a port, lower case
	methodSent              // as it was sent
	pathSent                // as it was sent, with its %xx
	querySent               // as it was sent, without its ?
	requestID               // the one that the app and the visitor are told
	groupName               // name of the group the request went to
)

var placeholders = map[string]placeholder{
	"client": visitorAddr, "host": hostName, "method": methodSent, "path": pathSent, "query": querySent, "request_id": requestID, "group": groupName,
}

// newTemplate reads a text. What stands in braces and is no placeholder stays as
// it is; a policy with such is refused before.
func newTemplate(text string) template {
	var t template
	plain := ""
	for text != "" {
		before, name, rest, found := route.Piece(text)
		plain += before
		if !found {
			plain += rest
			break
		}
		text = rest
		what := placeholders[name]
		if what == nothing {
			plain += "{" + name + "}"
			continue
		}
		t = append(t, piece{plain, what})
		plain = ""
	}
	if plain != "" {
		t = append(t, piece{text: plain})
	}
	return t
}

// appendTo appends the text for a request. Whatever a client wrote, it ends no
// line: a control character becomes a question mark.
func (t template) appendTo(b []byte, x *exchange) []byte {
	for i := range t {
		b = append(b, t[i].text...)
		from := len(b)
		b = t[i].stands.appendTo(b, x)
		for j := from; j < len(b); j++ {
			if b[j] < ' ' || b[j] == 0x7f {
				b[j] = '?'
			}
		}
	}
	return b
}

func (p placeholder) appendTo(b []byte, x *exchange) []byte {
	switch p {
	case visitorAddr:
		if addr := x.visitor(); addr.IsValid() {
			return addr.AppendTo(b)
		}
		return append(b, x.origin.ip...)
	case hostName:
		return append(b, x.host...)
	case methodSent:
		return append(b, x.req.Method...)
	case pathSent:
		return append(b, x.req.Path...)
	case querySent:
		if len(x.req.Query) > 0 {
			return append(b, x.req.Query[1:]...)
		}
	case requestID:
		return append(b, x.id...)
	case groupName:
		if x.group != nil {
			return append(b, x.group.name...)
		}
	}
	return b
}
