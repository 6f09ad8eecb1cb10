package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"naru/internal/disk"
)

var errTight = errors.New("the disk is full but for what others need")

// Writer appends encoded records to an instance's files. It is used by one
// goroutine.
type Writer struct {
	dir     string
	bound   int64 // bytes of all files
	segment int64 // bytes after which a new file is begun

	file   *os.File
	number uint64 // of file
	size   int64  // of file
	total  int64  // of all files, at most: a reader may have removed some since they were counted
}

// Segment sizes: small enough that the bound is kept closely and that reading
// the last lines is cheap, large enough that a busy app makes few files.
const (
	minSegment = 64 << 10
	maxSegment = 1 << 20
)

// OpenWriter continues an instance's spool of at most bound bytes. It returns
// the sequence number and the time of the last record there is, zero for none.
func OpenWriter(dir string, bound int64) (w *Writer, seq uint64, ns int64, err error) {
	w = &Writer{dir: dir, bound: bound, total: bound, segment: min(max(bound/16, minSegment), maxSegment)}
	numbers, err := files(dir)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("open log spool: %w", err)
	}
	if len(numbers) > 0 {
		w.number = numbers[len(numbers)-1]
		last, err := lastRecord(filepath.Join(dir, fileName(w.number)))
		if err != nil {
			return nil, 0, 0, fmt.Errorf("open log spool: %w", err)
		}
		seq, ns = last.Seq, last.Time.UnixNano()
		if last.Seq == 0 {
			ns = 0
		}
	}
	return w, seq, ns, nil
}

// Append writes whole records, the first of which has the sequence number first.
// After an error nothing of them is in the spool. The last of a disk is left to
// those who cannot drop what they have.
func (w *Writer) Append(records []byte, first uint64) error {
	if disk.Tight(w.dir) {
		return errTight
	}
	return w.append(records, first)
}

// append is Append also of the last of a disk, for the mark of the end.
func (w *Writer) append(records []byte, first uint64) error {
	if w.file == nil || w.size+int64(len(records)) > w.segment && w.size > headerSize {
		if err := w.rotate(first); err != nil {
			return err
		}
	}
	n, err := w.file.Write(records)
	if err != nil {
		// A torn tail would hide what follows in this file from the reader.
		terr := w.file.Truncate(w.size)
		_, serr := w.file.Seek(w.size, io.SeekStart)
		if terr != nil || serr != nil {
			err = errors.Join(err, terr, serr, w.close())
		}
		return err
	}
	w.size += int64(n)
	w.total += int64(n)
	return nil
}

// Close closes the current file.
func (w *Writer) Close() error { return w.close() }

func (w *Writer) close() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// rotate begins the next file, after room was made for it.
func (w *Writer) rotate(first uint64) error {
	cerr := w.close()
	if err := w.makeRoom(); err != nil {
		return errors.Join(cerr, err)
	}
	path := filepath.Join(w.dir, fileName(w.number+1))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return errors.Join(cerr, err)
	}
	header := binary.LittleEndian.AppendUint64([]byte(magic), first)
	if _, err := f.Write(header); err != nil {
		return errors.Join(cerr, err, f.Close(), os.Remove(path))
	}
	w.file, w.size, w.number = f, headerSize, w.number+1
	w.total += headerSize
	return cerr
}

// makeRoom removes the oldest files until one more fits under the bound. The
// reader notices by the gap in the sequence.
func (w *Writer) makeRoom() error {
	if w.total+w.segment <= w.bound {
		return nil
	}
	numbers, err := files(w.dir)
	if err != nil {
		return err
	}
	w.total = 0
	sizes := make([]int64, len(numbers))
	for i, n := range numbers {
		if info, err := os.Stat(filepath.Join(w.dir, fileName(n))); err == nil {
			sizes[i] = info.Size()
			w.total += sizes[i]
		}
	}
	for i, n := range numbers {
		if w.total+w.segment <= w.bound {
			break
		}
		if err := os.Remove(filepath.Join(w.dir, fileName(n))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		w.total -= sizes[i]
	}
	return nil
}

// lastRecord reads the last whole record of a file; a zero one when there is none.
func lastRecord(path string) (Record, error) {
	var last Record
	data, err := os.ReadFile(path)
	if err != nil {
		return last, err
	}
	if len(data) >= headerSize {
		if first := binary.LittleEndian.Uint64(data[8:]); first > 0 {
			last.Seq = first - 1
		}
	}
	for rest := data[min(headerSize, len(data)):]; ; {
		r, n, err := decodeRecord(rest)
		if err != nil {
			return last, nil
		}
		last, rest = r, rest[n:]
	}
}
