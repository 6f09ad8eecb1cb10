// Package spool keeps what an instance writes in a bounded row of files until
// it was read, with nothing but a file system between writer and reader.
//
// An instance has a folder with files 0000000001.log, 0000000002.log, ... and
// meta.json, which says whose output it is. A file starts with 16 bytes: "NARULOG"
// and a version byte, then the sequence number of its first record. After that
// come records, all integers little endian:
//
//	length   uint32  of the text
//	crc      uint32  CRC-32C of all that follows
//	kind     uint8   1 line, 2 part of a line too long for one record, 3 dropped, 4 end
//	stream   uint8   1 standard output, 2 standard error, 0 for dropped and end
//	sequence uint64  rises by one with every line and part, written or not
//	time     int64   nanoseconds since 1970, rises strictly from line to line
//	text     length bytes, without the line's end; for dropped: count uint64, then the reason
//
// Lines that were not kept have used up sequence numbers, so a reader sees a gap
// even where nothing could be written down about it.
//
// Nothing is ever synced: what the writer gave to the kernel survives the end of
// every process and is lost, up to some seconds, only with the machine, whose
// instances end then too. Waiting for a disk would hold up the app.
package spool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stream is where a line was written to.
type Stream uint8

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// Kind says what a record is.
type Kind uint8

// The kinds. A Part is followed by further parts of the same stream and at last
// by a Line. After an End nothing follows.
const (
	Line    Kind = 1
	Part    Kind = 2
	Dropped Kind = 3
	End     Kind = 4
)

// Record is one line, or the news that lines were lost.
type Record struct {
	Kind   Kind
	Stream Stream
	Seq    uint64
	Time   time.Time
	Text   []byte // of Line and Part
	Count  uint64 // lines lost, of Dropped
	Reason string // of Dropped: "rate", "disk", "bound", "torn"
}

// Why lines were not kept.
const (
	ReasonRate  = "rate"  // more bytes a second than allowed
	ReasonDisk  = "disk"  // the disk was full or did not answer in time
	ReasonBound = "bound" // the spool was full and nobody had read it
	ReasonTorn  = "torn"  // the machine stopped while it was written
)

// Meta says whose output a folder holds. It is written before the first line.
type Meta struct {
	Instance string `json:"instance"`
	Group    string `json:"group,omitempty"`
	App      string `json:"app"`
	AppName  string `json:"app_name"`
	Space    string `json:"space"`
	Process  string `json:"process"`
	Index    int    `json:"index"`
	Task     bool   `json:"task,omitempty"`
}

// Source is the record's source as people see it: APP/PROC/WEB, or TASK.
func (m Meta) Source() string {
	if m.Task {
		return "TASK"
	}
	return "APP/PROC/" + strings.ToUpper(m.Process)
}

const (
	magic      = "NARULOG\x01"
	headerSize = 16
	recordSize = 26
	maxText    = 1 << 20 // no writer makes a longer one; a longer length is damage
	suffix     = ".log"
	metaFile   = "meta.json"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord encodes a record.
func appendRecord(b []byte, kind Kind, stream Stream, seq uint64, ns int64, text []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = append(b, byte(kind), byte(stream))
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(ns))
	b = append(b, text...)
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+8:], castagnoli))
	return b
}

// errShort says that a record is not all there (yet), errDamaged that it never
// will be.
var (
	errShort   = errors.New("record incomplete")
	errDamaged = errors.New("record damaged")
)

// decodeRecord reads the record at the start of b and returns its size.
func decodeRecord(b []byte) (Record, int, error) {
	if len(b) < recordSize {
		return Record{}, 0, errShort
	}
	length := int(binary.LittleEndian.Uint32(b))
	if length > maxText {
		return Record{}, 0, errDamaged
	}
	size := recordSize + length
	if len(b) < size {
		return Record{}, 0, errShort
	}
	if crc32.Checksum(b[8:size], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return Record{}, 0, errDamaged
	}
	r := Record{
		Kind: Kind(b[8]), Stream: Stream(b[9]),
		Seq:  binary.LittleEndian.Uint64(b[10:]),
		Time: time.Unix(0, int64(binary.LittleEndian.Uint64(b[18:]))).UTC(),
		Text: b[recordSize:size],
	}
	if r.Kind == Dropped {
		if length < 8 {
			return Record{}, 0, errDamaged
		}
		r.Count, r.Reason, r.Text = binary.LittleEndian.Uint64(r.Text), string(r.Text[8:]), nil
	}
	return r, size, nil
}

func droppedText(count uint64, reason string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, count), reason...)
}

// fileName is a segment's name.
func fileName(n uint64) string { return fmt.Sprintf("%010d%s", n, suffix) }

// files returns the numbers of the segments in a folder, rising.
func files(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), suffix)
		if n, err := strconv.ParseUint(base, 10, 64); ok && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// Create makes an instance's folder. Making it again changes nothing but the meta
// data.
func Create(dir string, m Meta) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create log spool: %w", err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "."+metaFile)
	if err := errors.Join(os.WriteFile(tmp, text, 0o600), os.Rename(tmp, filepath.Join(dir, metaFile))); err != nil {
		return fmt.Errorf("create log spool: %w", err)
	}
	return nil
}

// ReadMeta reads whose output a folder holds.
func ReadMeta(dir string) (Meta, error) {
	var m Meta
	text, err := os.ReadFile(filepath.Join(dir, metaFile))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("read %s: %w", filepath.Join(dir, metaFile), err)
	}
	return m, nil
}

// Instances returns the names of the folders under root, sorted; none when root
// does not exist.
func Instances(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Remove frees an instance's folder, read or not.
func Remove(dir string) error { return os.RemoveAll(dir) }
