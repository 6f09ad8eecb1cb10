package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/run/spool"
)

// Importer carries lines from the instances' spools into the book. It may die at
// any moment: lines and offsets are stored together, and a spool is freed only
// behind them.
type Importer struct {
	root  string // folder of the spools
	book  *Book
	every time.Duration
	log   *slog.Logger
	quota *quota

	readers map[string]*reader
	lines   []Line       // memory for one turn
	memory  spool.Memory // for one spool
}

type reader struct {
	*spool.Reader
	meta spool.Meta
}

// batch bounds how many records of one spool go into one transaction, so that a
// loud app does not hold up the others. A Read bounds their bytes, too.
const batch = 10_000

// pruneEvery is short: a loud app fills a gigabyte in an hour.
const pruneEvery = time.Minute

// NewImporter makes an importer that looks for new lines at an interval. The
// instances of an app may write so many bytes a second together, on an average of
// ten seconds; 0: any. What is over is dropped, and the app's log says so.
func NewImporter(root string, book *Book, every time.Duration, rate int64, log *slog.Logger) *Importer {
	return &Importer{root: root, book: book, every: every, log: log, quota: newQuota(rate), readers: map[string]*reader{}}
}

// Run imports until ctx ends.
func (im *Importer) Run(ctx context.Context) error {
	defer im.close()
	ticker := time.NewTicker(im.every)
	defer ticker.Stop()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	im.prune(ctx)
	said := ""
	for {
		more, err := im.Import(ctx)
		switch {
		case err == nil:
			said = ""
		case ctx.Err() == nil && !sameTrouble(said, err):
			said = fault.Of(err).Message
			im.log.ErrorContext(ctx, "import log lines", "error", err)
			im.prune(ctx) // which makes room where it can
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-prune.C:
			im.prune(ctx)
		case <-ticker.C:
		}
	}
}

func (im *Importer) prune(ctx context.Context) {
	im.book.row.Tend(ctx, im.book.limits, "logs.bytes, reserve.disk_percent")
}

// sameTrouble reports that an error was told already: on a full disk it comes
// several times a second, and the numbers in it change.
func sameTrouble(said string, err error) bool {
	before, _, _ := strings.Cut(said, ":")
	now, _, _ := strings.Cut(fault.Of(err).Message, ":")
	return said != "" && before == now
}

// Import carries over what there is now, at most one batch of every spool; more
// says that some spool had a full batch.
func (im *Importer) Import(ctx context.Context) (more bool, err error) {
	names, err := spool.Instances(im.root)
	if err != nil {
		return false, fmt.Errorf("list log spools: %w", err)
	}
	im.dropGone(names)
	lines := im.lines[:0]
	defer func() {
		clear(lines) // their texts are not kept
		im.lines = lines[:0]
	}()
	offsets := map[string]spool.Offset{}
	var errs []error
	for _, name := range names {
		r, err := im.reader(ctx, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r == nil {
			continue
		}
		before := r.Offset()
		records, err := r.Read(batch, &im.memory)
		if err != nil {
			errs = append(errs, err)
		}
		more = more || im.memory.Full
		lines = im.take(lines, r.meta, records)
		if r.Offset() != before {
			offsets[name] = r.Offset()
		}
	}
	lines = append(lines, im.quota.notices(im.book.clock())...)
	if err := im.book.Append(ctx, lines, offsets); err != nil {
		im.close() // the readers ran ahead of what is stored: they begin again from there
		return false, errors.Join(append(errs, err)...)
	}
	for name, at := range offsets {
		errs = append(errs, spool.Free(filepath.Join(im.root, name), at))
	}
	return more, errors.Join(errs...)
}

// reader returns the reader of a spool; nil while its owner is not written down
// yet.
func (im *Importer) reader(ctx context.Context, name string) (*reader, error) {
	if r, ok := im.readers[name]; ok {
		return r, nil
	}
	dir := filepath.Join(im.root, name)
	meta, err := spool.ReadMeta(dir)
	if err != nil {
		return nil, nil // it is being made
	}
	at, err := im.book.Offset(ctx, name)
	if err != nil {
		return nil, err
	}
	if at.End { // read to its end by a process that died before it freed it
		return nil, spool.Free(dir, at)
	}
	r := &reader{spool.OpenReader(dir, at), meta}
	im.readers[name] = r
	return r, nil
}

func (im *Importer) dropGone(names []string) {
	present := map[string]bool{}
	for _, name := range names {
		present[name] = true
	}
	for name, r := range im.readers {
		if !present[name] || r.Offset().End {
			_ = r.Close() // it was only read from
			delete(im.readers, name)
		}
	}
	live := map[app.ID]bool{}
	for _, r := range im.readers {
		live[app.ID(r.meta.App)] = true
	}
	im.quota.forget(live)
}

func (im *Importer) close() {
	for name, r := range im.readers {
		_ = r.Close() // it was only read from
		delete(im.readers, name)
	}
}

// take adds what records of a spool say, within the quota.
func (im *Importer) take(lines []Line, m spool.Meta, records []spool.Record) []Line {
	bytes := 0
	for i := range records {
		bytes += len(records[i].Text)
	}
	var texts strings.Builder // one for all: they come and go together
	texts.Grow(bytes)
	l := Line{App: app.ID(m.App), Source: App, Process: m.Process, Index: m.Index, Instance: m.Instance}
	if m.Task {
		l.Source = Task
	}
	used := im.quota.of(l.App)
	for i := range records {
		rec := &records[i]
		l.Time, l.Stream, l.Partial, l.Dropped = rec.Time, "stdout", rec.Kind == spool.Part, 0
		if rec.Stream == spool.Stderr {
			l.Stream = "stderr"
		}
		switch rec.Kind {
		case spool.Line, spool.Part:
			if !utf8.Valid(rec.Text) {
				l.Text = strings.ToValidUTF8(string(rec.Text), "\uFFFD")
			} else {
				from := texts.Len()
				texts.Write(rec.Text)
				l.Text = texts.String()[from:]
			}
			if !im.quota.take(used, &l) {
				continue
			}
		case spool.Dropped:
			l.Dropped = int64(rec.Count)
			l.Text = fmt.Sprintf("%d lines dropped (%s)", rec.Count, rec.Reason)
		default: // it says nothing
			continue
		}
		lines = append(lines, l)
	}
	return lines
}
