package cf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/pipeline/intake"
	"naru/internal/size"
	"naru/internal/source"
)

// body is that of an upload, bounded in size and in silence. It remembers what
// ended it, so that an upload that was broken off is told from one that is bad.
type body struct {
	r          io.Reader
	left, most int64
	idle       time.Duration
	control    *http.ResponseController
	err        error
}

func (c *call) upload() (*body, error) {
	if c.r.ContentLength > c.cfg.UploadBytes {
		return nil, c.tooBig()
	}
	return &body{
		r: c.r.Body, left: c.cfg.UploadBytes, most: c.cfg.UploadBytes, idle: c.cfg.Silence, control: http.NewResponseController(c.w),
	}, nil
}

func (c *call) tooBig() error {
	return tooLarge.saying("The upload is over the limit of " + size.Text(c.cfg.UploadBytes) +
		": leave out with .cfignore what the build makes or fetches itself, or ask the operator to raise upload.bytes")
}

var errTooBig = errors.New("too big")

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	_ = b.control.SetReadDeadline(time.Now().Add(b.idle)) // a test's writer has none
	n, err := b.r.Read(p)
	switch b.left -= int64(n); {
	case b.left < 0:
		b.err = errTooBig
		return 0, b.err
	case err != nil && !errors.Is(err, io.EOF):
		b.err = err
	}
	return n, err
}

// uploadPackage takes the files of a package in. It answers when they are there:
// clients that see the package ready ask no more.
func (d *Door) uploadPackage(c *call) error {
	p, err := d.pack(c, c.guid(), auth.SourceWrite)
	switch {
	case err != nil:
		return err
	case p.Kind != source.Bits:
		return unprocessable.saying("Package type must be bits.")
	case p.State != source.Awaiting:
		return bitsTaken
	}
	up, err := d.Intake.Begin(p.Package)
	if err != nil {
		return err
	}
	defer up.Close()
	in, err := c.upload()
	if err != nil {
		return err
	}
	if err := d.takeIn(c, up, in); err != nil {
		if err == error(nothingSent) {
			return d.nothingSent(c, p)
		}
		return d.refused(c, p, in, err)
	}
	if p.Package, err = up.Finish(c.ctx(), c.by()); err != nil {
		return d.refused(c, p, in, err)
	}
	return c.ok(c.packageResource(p))
}

var nothingSent = unprocessable.saying("Upload must include either resources or bits")

// nothingSent says why there was nothing in an upload, where that is known: of an
// app that runs an image the client sends no files, and not why.
func (d *Door) nothingSent(c *call, p pack) error {
	a, err := d.Apps.App(c.ctx(), p.App)
	if err != nil {
		return err
	}
	shown, err := d.shown(c.ctx(), nil, []app.App{a})
	if err != nil || !shown[0].docker() {
		return cmp.Or[error](err, nothingSent)
	}
	return unprocessable.saying(fmt.Sprintf("App '%s' runs an image, and its client sends no files: push with -o IMAGE, or delete the app and push it again", a.Name))
}

// takeIn reads the parts of an upload, in whatever order they come.
func (d *Door) takeIn(c *call, up *intake.Upload, in *body) error {
	c.r.Body = io.NopCloser(in)
	form, err := c.r.MultipartReader()
	if err != nil {
		return nothingSent
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch part.FormName() {
		case "resources":
			err = d.reuse(c, up, part)
		case "bits", "application":
			err = up.Archive(c.ctx(), part)
		}
		if err != nil {
			return err
		}
	}
	_ = in.control.SetReadDeadline(time.Time{})
	if up.Empty() {
		return nothingSent
	}
	return nil
}

// reuse adds the files that the client was told are known.
func (d *Door) reuse(c *call, up *intake.Upload, part *multipart.Part) error {
	text, err := io.ReadAll(io.LimitReader(part, resourcesBytes+1))
	if err != nil {
		return err
	}
	var named []file
	if len(text) > resourcesBytes || json.Unmarshal(text, &named) != nil {
		return unprocessable.saying("The resources of an upload must be a JSON array of files")
	}
	if len(named) == 0 {
		return nil
	}
	var files []source.File
	for _, f := range named {
		s, ok := f.source()
		if !ok {
			return unprocessable.saying("resources: " + s.Path + " is no file with a size, a mode and a SHA-1")
		}
		files = append(files, s)
	}
	spaces, err := d.sourceSpaces(c)
	if err != nil {
		return err
	}
	return up.Reuse(c.ctx(), spaces, files)
}

// resourcesBytes bounds the names of all files of a package.
const resourcesBytes = 64 << 20

// refused explains why an upload is not taken. What came whole and is bad ends the
// package; what was broken off can be sent again.
func (d *Door) refused(c *call, p pack, in *body, err error) error {
	f := fault.Of(err)
	switch {
	case errors.Is(err, intake.ErrTaken):
		return bitsTaken
	case errors.Is(in.err, errTooBig):
		return c.tooBig()
	case errors.Is(in.err, os.ErrDeadlineExceeded):
		return badRequest.saying("Nothing of the upload came for " + in.idle.String() + ": try again")
	case in.err != nil, errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest.saying("The upload was broken off: try again")
	case f.Kind == fault.Invalid || f.Kind == fault.TooLarge || f.Kind == fault.Unsupported:
		if err := d.Intake.Spoil(c.ctx(), c.by(), p.ID, err); err != nil {
			return err
		}
	}
	return err
}

var bitsTaken = problem{http.StatusBadRequest, 150004, "CF-PackageBitsAlreadyUploaded", "Bits may be uploaded only once. Create a new package to upload different bits."}
