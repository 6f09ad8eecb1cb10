package cf

import "net/http"

// fileAnswer is an answer that is a file. Its head is sent with the first byte: an
// error before that is answered as others are.
type fileAnswer struct {
	c          *call
	kind, name string
	begun      bool
}

func (c *call) file(kind, name string) *fileAnswer { return &fileAnswer{c: c, kind: kind, name: name} }

func (f *fileAnswer) Write(p []byte) (int, error) {
	if !f.begun {
		f.begun = true
		h := f.c.w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
		f.c.w.WriteHeader(http.StatusOK)
	}
	return f.c.w.Write(p)
}

// sent ends an answer that is a file. One that broke in the middle breaks the
// connection: whoever reads must not take it for whole.
func (d *Door) sent(c *call, f *fileAnswer, err error) error {
	if err == nil || !f.begun {
		return err
	}
	if c.ctx().Err() == nil {
		d.log.WarnContext(c.ctx(), "send file", "name", f.name, "error", err)
	}
	panic(http.ErrAbortHandler)
}
