package cli

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/size"
	"naru/internal/source"
)

// uploads is how often an upload that broke is begun again. What arrived stays,
// so every try is shorter.
const uploads = 5

// sending is what went to the server before a push.
type sending struct {
	done  bool
	files int
	bytes int64
	took  time.Duration
}

func (s sending) String() string {
	if s.files == 0 {
		return "nothing new to send"
	}
	return fmt.Sprintf("sent %s, %s", count(s.files, "file"), size.Text(s.bytes))
}

// uploader brings source to a space and shows how far it is.
type uploader struct {
	screen *Screen
	quiet  bool // only draw
	in     *client.InSpace
	limits client.Limits
}

// upload freezes a folder, a file or an archive on the server, sending only what
// it lacks.
func (c *cmd) upload(ctx context.Context, cl *client.Client, in *client.InSpace, path string, quiet bool) (client.Snapshot, sending, error) {
	began := time.Now()
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return client.Snapshot{}, sending{}, fault.New(fault.Invalid, "path", "%s does not exist", path).WithTry("naru push --path FOLDER")
	case err != nil:
		return client.Snapshot{}, sending{}, fault.Wrap(fault.Invalid, "path", err)
	}
	server, err := cl.Info(ctx)
	if err != nil {
		return client.Snapshot{}, sending{}, err
	}
	u := &uploader{c.screen, quiet, in, server.Limits}
	u.say("started", "")
	var snap client.Snapshot
	var sent sending
	switch kind := archives[strings.ToLower(filepath.Ext(path))]; {
	case info.IsDir():
		snap, sent, err = u.folder(ctx, path, c.hashes())
	case !info.Mode().IsRegular():
		err = notPushable(path)
	case kind != "":
		snap, sent, err = u.archive(ctx, path, kind, info.Size())
	case programs[strings.ToLower(filepath.Ext(path))]:
		snap, sent, err = u.file(ctx, path, info.Size())
	default:
		err = notPushable(path)
	}
	c.screen.rest()
	sent.done, sent.took = true, time.Since(began)
	return snap, sent, inSource(path, info.IsDir(), err)
}

// inSource names what was pushed in an error about it, and the entry in it: the
// server knows an archive under no name, and a folder by its entries alone.
func inSource(path string, folder bool, err error) error {
	f := fault.Of(err)
	switch {
	case err == nil || f.Kind != fault.Invalid && f.Kind != fault.TooLarge && f.Kind != fault.Unsupported:
		return err
	case folder:
		if _, missing := os.Lstat(filepath.Join(path, f.Field)); f.Field == "" || missing != nil {
			return err // it is about something else
		}
		f = fault.New(f.Kind, "."+string(filepath.Separator)+f.Field, "%s", f.Message).WithTry("%s", f.Try).WithCause(f.Err)
		if path != "." {
			f.Field = filepath.Join(path, f.Field)
		}
		return f
	case archives[strings.ToLower(filepath.Ext(path))] == "" || f.Field == "path":
		return err
	}
	entry := f.Field
	f = fault.New(f.Kind, path, "%s", f.Message).WithTry("%s", f.Try).WithCause(f.Err)
	switch entry {
	case "", "source", "upload", "upload.zip", "upload.tar", "upload.tar.gz": // the archive as a whole
	default:
		f.Field += ": " + entry
	}
	return f
}

var archives = map[string]client.ArchiveType{".zip": client.Zip, ".tar": client.Tar, ".tgz": client.TarGz, ".gz": client.TarGz}

// programs are archives that are run as they are.
var programs = map[string]bool{".jar": true, ".war": true, ".ear": true}

func notPushable(path string) error {
	return fault.New(fault.Invalid, "path", "%s is not a directory, nor an archive (.zip, .tar, .tar.gz) or a .jar", path).
		WithTry("naru push --path FOLDER")
}

// hashes is where the hashes of files are remembered; "" where there is no place.
func (c *cmd) hashes() string {
	dir, err := home(c.world.Getenv)
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "hashes")
}

// say tells where the source step is.
func (u *uploader) say(status, text string) {
	switch {
	case u.quiet:
	case u.screen.json:
		_ = u.screen.line(client.Progress{Time: time.Now().UTC(), Step: "source", Status: status, Text: text}) // a closed pipe ends the program anyway
	case u.screen.live:
		u.draw(text)
	case text == "":
		u.screen.say("· source")
	default:
		u.screen.say("· %s %s", pad("source"), text)
	}
}

// draw shows a passing moment.
func (u *uploader) draw(text string) { u.screen.draw("  " + pad("source") + " " + text) }

func (u *uploader) folder(ctx context.Context, dir, cache string) (client.Snapshot, sending, error) {
	tree, err := source.Walk(ctx, dir, source.WalkOptions{
		Limits:   source.Limits{MaxBytes: u.limits.SourceBytes, MaxFile: u.limits.SourceFile, MaxFiles: u.limits.SourceFiles},
		CacheDir: cache,
		Progress: every(func(p source.Progress) {
			u.draw(fmt.Sprintf("read %s, %s", count(p.Files, "file"), size.Text(p.Bytes)))
		}),
	})
	if err != nil {
		return client.Snapshot{}, sending{}, err
	}
	return u.freeze(ctx, dir, tree, originOf(ctx, dir))
}

// file freezes one file as a tree of its own.
func (u *uploader) file(ctx context.Context, path string, length int64) (client.Snapshot, sending, error) {
	if u.limits.SourceFile > 0 && length > u.limits.SourceFile {
		return client.Snapshot{}, sending{}, tooLarge(path, length, u.limits.SourceFile)
	}
	name := filepath.Base(path)
	real, err := filepath.EvalSymlinks(path) // what is read later must lie in the folder that is named
	if err != nil {
		return client.Snapshot{}, sending{}, fault.Wrap(fault.Invalid, "path", err)
	}
	f, err := os.Open(real)
	if err != nil {
		return client.Snapshot{}, sending{}, fault.Wrap(fault.Invalid, "path", err)
	}
	defer f.Close()
	long, old := sha256.New(), sha1.New() // the second name is the one Cloud Foundry's clients ask by
	n, err := io.Copy(io.MultiWriter(long, old), f)
	if err != nil {
		return client.Snapshot{}, sending{}, fmt.Errorf("read %s: %w", path, err)
	}
	one := source.File{Path: filepath.Base(real), Mode: source.Plain, Size: n, SHA256: hex.EncodeToString(long.Sum(nil)), SHA1: hex.EncodeToString(old.Sum(nil))}
	sent, err := u.send(ctx, filepath.Dir(real), source.Manifest{one})
	if err != nil {
		return client.Snapshot{}, sent, err
	}
	one.Path = name
	snap, err := u.in.FreezeSource(ctx, client.NewSnapshot{Files: source.Manifest{one}, Origin: client.Origin{Kind: "directory"}})
	return snap, sent, err
}

func (u *uploader) freeze(ctx context.Context, dir string, tree source.Manifest, origin client.Origin) (client.Snapshot, sending, error) {
	sent, err := u.send(ctx, dir, tree)
	if err != nil {
		return client.Snapshot{}, sent, err
	}
	snap, err := u.in.FreezeSource(ctx, client.NewSnapshot{Files: tree, Origin: origin})
	return snap, sent, err
}

// send uploads what the space lacks of a tree, once more where the connection
// breaks.
func (u *uploader) send(ctx context.Context, dir string, tree source.Manifest) (sent sending, err error) {
	for try := 0; ; try++ {
		missing, err := u.in.MissingSource(ctx, tree.Hashes())
		u.screen.answered()
		if err != nil || len(missing) == 0 {
			return sent, err
		}
		total := lacking(tree, missing)
		if try == 0 {
			sent.files, sent.bytes = len(missing), total
			u.say(client.StepInfo, fmt.Sprintf("%d of %s to send, %s", len(missing), count(len(tree), "file"), size.Text(total)))
		}
		err = u.stream(ctx, dir, tree, missing, total)
		if err == nil || try+1 == uploads || ctx.Err() != nil || !fault.Is(err, fault.Unavailable) {
			return sent, err
		}
		u.screen.waiting(err, 0)
	}
}

// lacking adds up the contents that are missing.
func lacking(tree source.Manifest, missing []string) (total int64) {
	sizes := make(map[string]int64, len(tree))
	for _, f := range tree {
		sizes[f.SHA256] = f.Size
	}
	for _, hash := range missing {
		total += sizes[hash]
	}
	return total
}

// stream sends contents as one stream.
func (u *uploader) stream(ctx context.Context, dir string, tree source.Manifest, missing []string, total int64) error {
	r, w := io.Pipe()
	meter := &meter{r: r, moved: func(n int64) {
		u.draw(fmt.Sprintf("sending %s of %s", size.Text(min(n, total)), size.Text(total)))
	}}
	wrote := make(chan error, 1)
	go func() {
		err := source.WriteUpload(ctx, w, dir, tree, missing, nil)
		w.CloseWithError(err)
		wrote <- err
	}()
	_, err := u.in.UploadSource(ctx, meter)
	r.CloseWithError(io.ErrClosedPipe) // so that the writer ends when the server did not read all
	if local := <-wrote; local != nil && !errors.Is(local, io.ErrClosedPipe) {
		return local // why the server got no more
	}
	return err
}

func (u *uploader) archive(ctx context.Context, path string, kind client.ArchiveType, length int64) (snap client.Snapshot, sent sending, err error) {
	if u.limits.UploadBytes > 0 && length > u.limits.UploadBytes {
		return snap, sent, tooLarge(path, length, u.limits.UploadBytes)
	}
	u.say(client.StepInfo, "sending "+filepath.Base(path)+", "+size.Text(length))
	for try := 0; ; try++ {
		snap, err = u.archiveOnce(ctx, path, kind, length)
		if err == nil || try+1 == uploads || ctx.Err() != nil || !fault.Is(err, fault.Unavailable) {
			return snap, sending{files: 1, bytes: length}, err
		}
		u.screen.waiting(err, 0)
		if _, ready := u.in.Get(ctx); ready != nil { // which waits until the server answers
			return snap, sent, ready
		}
		u.screen.answered()
	}
}

func (u *uploader) archiveOnce(ctx context.Context, path string, kind client.ArchiveType, length int64) (client.Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return client.Snapshot{}, fault.Wrap(fault.Invalid, "path", err)
	}
	defer f.Close()
	return u.in.UploadArchive(ctx, kind, &meter{r: f, moved: func(n int64) {
		u.draw(fmt.Sprintf("sending %s of %s", size.Text(n), size.Text(length)))
	}})
}

func tooLarge(path string, have, most int64) error {
	return fault.New(fault.TooLarge, "path", "%s has %s, the server takes at most %s", path, size.Text(have), size.Text(most)).
		WithTry("leave out what is not source, or have the setting upload.bytes raised")
}

// meter counts what is read through it.
type meter struct {
	r     io.Reader
	n     int64
	shown time.Time
	moved func(int64)
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	if time.Since(m.shown) > redrawEvery {
		m.shown = time.Now()
		m.moved(m.n)
	}
	return n, err
}

// redrawEvery is how often a line that counts is drawn.
const redrawEvery = 100 * time.Millisecond

// every thins out what is called for each file.
func every(show func(source.Progress)) func(source.Progress) {
	var shown time.Time
	return func(p source.Progress) {
		if time.Since(shown) > redrawEvery {
			shown = time.Now()
			show(p)
		}
	}
}
