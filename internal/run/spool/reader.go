package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Offset is how far a reader has come. The zero Offset is the start. Store it
// together with what was read; then Free what lies before it.
type Offset struct {
	File uint64 `json:"file"` // number of the file
	Pos  int64  `json:"pos"`  // bytes of it that were read
	Seq  uint64 `json:"seq"`  // last sequence number seen
	End  bool   `json:"end"`  // the End was read
}

// Reader reads an instance's records from an offset on, across files and while
// they are written. It is used by one goroutine.
type Reader struct {
	dir  string
	at   Offset
	file *os.File
	dry  int64 // size of file at which there was no whole record left
}

// Memory is what a Read works in. Readers that are read in turn share one: there
// are many, and few have much to tell.
type Memory struct {
	// Full says that a Read ended at a limit: there may be more.
	Full bool

	records []Record
	bytes   []byte // read from the open file
	next    int    // place in bytes of the next record, which is at the reader's offset
}

const (
	piece = 128 << 10 // is read of a file at a time
	most  = 768 << 10 // bytes that one Read returns, and one record: about what becomes one block of the log
)

// OpenReader reads on from an offset.
func OpenReader(dir string, from Offset) *Reader { return &Reader{dir: dir, at: from} }

// Offset is where the next Read begins.
func (r *Reader) Offset() Offset { return r.at }

// Close gives the open file back.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

// Read returns up to limit records; none when there is nothing new. Lines that were
// lost come as a Dropped in their place. What it returns is good until the next
// Read in the same memory.
func (r *Reader) Read(limit int, m *Memory) ([]Record, error) {
	out := m.records[:0]
	defer func() { m.records = out[:0] }()
	m.bytes, m.next, m.Full = m.bytes[:0], 0, false
	for bytes := 0; !r.at.End; {
		if m.Full = len(out) >= limit || bytes >= most; m.Full {
			break
		}
		rec, ok, err := r.record(m)
		if err == nil && !ok {
			var next uint64
			if next, err = r.next(); err == nil && next == 0 {
				break
			}
			if err == nil {
				rec, ok, err = r.record(m) // it may have grown before the next one began
			}
			if err == nil && !ok {
				if err = r.open(next); err == nil {
					continue
				}
			}
		}
		if err != nil {
			return out, fmt.Errorf("read log spool: %w", err)
		}
		out = r.keep(out, rec)
		bytes += len(rec.Text)
	}
	return out, nil
}

// keep adds a record, and before it the news of a gap.
func (r *Reader) keep(out []Record, rec Record) []Record {
	if rec.Kind == Dropped {
		// No more than the sequence has room for: some may be known already.
		rec.Count = min(rec.Count, max(rec.Seq, r.at.Seq)-r.at.Seq)
		if rec.Count == 0 {
			return out
		}
		r.at.Seq += rec.Count
		return append(out, rec)
	}
	if gap := rec.Seq - r.at.Seq - 1; rec.Seq > r.at.Seq && gap > 0 {
		out = append(out, Record{Kind: Dropped, Seq: rec.Seq - 1, Time: rec.Time, Count: gap, Reason: ReasonBound})
	}
	r.at.Seq, r.at.End = rec.Seq, rec.Kind == End
	return append(out, rec)
}

// record decodes the next record of the open file; false when there is no whole
// one.
func (r *Reader) record(m *Memory) (Record, bool, error) {
	if r.file == nil {
		return Record{}, false, nil
	}
	for {
		rec, n, err := decodeRecord(m.bytes[m.next:])
		switch {
		case err == nil:
			m.next, r.at.Pos = m.next+n, r.at.Pos+int64(n)
			return rec, true, nil
		case errors.Is(err, errDamaged):
			// Only a machine that stopped leaves this. What follows in the file
			// cannot be trusted; the gap in the sequence tells how much it was.
			r.dry = r.at.Pos + int64(len(m.bytes)-m.next)
			m.forget()
			return Record{}, false, nil
		}
		kept := m.room()
		end := len(m.bytes)
		got, err := r.file.ReadAt(m.bytes[end:end+piece], r.at.Pos+int64(kept))
		m.bytes = m.bytes[:end+got]
		if got == 0 {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			// What is incomplete is read anew: a full disk makes the writer take
			// it back and write something else there.
			r.dry = r.at.Pos + int64(kept)
			m.forget()
			return Record{}, false, err
		}
	}
}

// forget drops what was read and not decoded.
func (m *Memory) forget() { m.bytes = m.bytes[:m.next] }

// room makes room for a piece behind what is not decoded yet, and returns how much
// that is. Records are left where they are.
func (m *Memory) room() (kept int) {
	rest := m.bytes[m.next:]
	if cap(m.bytes)-len(m.bytes) < piece {
		m.bytes, m.next = append(make([]byte, 0, max(2*cap(m.bytes), len(rest)+piece)), rest...), 0
	}
	return len(rest)
}

// next returns the number of the file to go on with, 0 while there is none.
func (r *Reader) next() (uint64, error) {
	numbers, err := files(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, n := range numbers {
		if n > r.at.File || n == r.at.File && r.file == nil {
			if info, err := os.Stat(filepath.Join(r.dir, fileName(n))); err == nil && info.Size() >= headerSize {
				return n, nil
			}
		}
	}
	return 0, nil
}

// open moves on to file n. One that was removed meanwhile is passed over.
func (r *Reader) open(n uint64) error {
	f, err := os.Open(filepath.Join(r.dir, fileName(n)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	header := make([]byte, headerSize)
	if _, err := f.ReadAt(header, 0); err != nil || string(header[:len(magic)]) != magic {
		return errors.Join(fmt.Errorf("%s is not a log of this version", f.Name()), f.Close())
	}
	if err := r.Close(); err != nil {
		return errors.Join(err, f.Close())
	}
	if n != r.at.File {
		r.at.File, r.at.Pos = n, headerSize
	}
	r.file, r.dry = f, 0
	return nil
}

// Wait blocks until there is something to read, looking every now and then.
func (r *Reader) Wait(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if r.more() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// more reports that a Read could return something, at the cost of two system
// calls.
func (r *Reader) more() bool {
	if r.at.End {
		return true
	}
	if size := r.size(); size > r.at.Pos && size != r.dry {
		return true
	}
	numbers, err := files(r.dir)
	if err != nil || len(numbers) == 0 {
		return false
	}
	return r.file == nil || numbers[len(numbers)-1] > r.at.File
}

// size is that of the open file, 0 without one.
func (r *Reader) size() int64 {
	if r.file == nil {
		return 0
	}
	info, err := r.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// Free removes what lies before an offset that was stored: whole files, and the
// folder once the end was read. The file before the offset's stays, so that the
// last lines of a crash can be shown.
func Free(dir string, stored Offset) error {
	if stored.End {
		return Remove(dir)
	}
	numbers, err := files(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("free log spool: %w", err)
	}
	for _, n := range numbers {
		if n+1 >= stored.File {
			break
		}
		if err := os.Remove(filepath.Join(dir, fileName(n))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("free log spool: %w", err)
		}
	}
	return nil
}

// Tail returns the last n lines there are and whether the End is written.
func Tail(dir string, n int) (lines []string, ended bool, err error) {
	numbers, err := files(dir)
	if err != nil {
		return nil, false, fmt.Errorf("read log spool: %w", err)
	}
	var from Offset
	if len(numbers) > 1 {
		from.File = numbers[len(numbers)-2]
	}
	r := OpenReader(dir, from)
	var part []byte
	m := &Memory{}
	for {
		records, err := r.Read(1000, m)
		if err != nil {
			return nil, false, errors.Join(err, r.Close())
		}
		if len(records) == 0 || r.at.End && len(records) < 2 {
			break
		}
		for _, rec := range records {
			switch rec.Kind {
			case Part:
				part = append(part, rec.Text...)
			case Line:
				lines = append(lines, string(append(part, rec.Text...)))
				part = nil
			}
		}
		lines = lines[max(0, len(lines)-n):]
	}
	return lines, r.at.End, r.Close()
}

// Finish marks the end of a spool whose writer died before it could. It must not
// be called while a writer lives.
func Finish(dir string) error {
	_, ended, err := Tail(dir, 1)
	if ended || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	w, seq, ns, err := OpenWriter(dir, defaultBound)
	if err != nil {
		return err
	}
	ns = max(ns+1, time.Now().UnixNano())
	return errors.Join(w.append(appendRecord(nil, End, 0, seq+1, ns, nil), seq+1), w.Close())
}
