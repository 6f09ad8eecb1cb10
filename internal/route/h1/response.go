package h1

import "bytes"

// Response is the head of an answer. Its slices are part of the block it was
// parsed from.
type Response struct {
	head
	Status int
	Line   []byte // "200 OK", from the status on
	Minor  byte
	Body   Framing // as it follows this request; see Parse
}

// Parse reads the head of an answer. bodyless says that the request was a HEAD:
// its answer has no body whatever the head says.
func (r *Response) Parse(block []byte, bodyless bool) *Refusal {
	r.Block = block
	end := bytes.IndexByte(block, '\n')
	if end < 1 || block[end-1] != '\r' {
		return badLine
	}
	line := block[:end-1]
	// "HTTP/1.1 200" and after that nothing or a space and anything.
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' || !clean(line) {
		return badStatusLine
	}
	r.Minor, r.Line = line[7]-'0', line[9:]
	status, ok := decimal(line[9:12])
	if !ok || status < 100 {
		return badStatusLine
	}
	r.Status = int(status)
	if why := r.fields(end + 1); why != nil {
		return why
	}
	body, why := r.framing(r.Minor == 0)
	if why != nil {
		return why
	}
	switch {
	case bodyless || r.Status < 200 || r.Status == 204 || r.Status == 304:
		body = Framing{}
	case body.Kind == None && r.count[ContentLength] == 0:
		body = Framing{Kind: UntilClose}
	}
	r.Body = body
	return nil
}

// Close reports whether the instance ends the connection after this answer.
func (r *Response) Close() bool {
	return r.close || r.Minor == 0 && !r.keep || r.Body.Kind == UntilClose
}

// Silent reports whether the head speaks of a body that does not follow, so that
// a careless program might send one all the same.
func (r *Response) Silent() bool {
	return r.Body.Kind == None && (r.count[TransferEncoding] > 0 || r.count[ContentLength] > 0 && !is(r.Get(ContentLength), "0"))
}

// Switches reports whether the answer, a 101, names the protocol it switches to.
func (r *Response) Switches() bool { return r.upgrade && r.count[Upgrade] == 1 }
