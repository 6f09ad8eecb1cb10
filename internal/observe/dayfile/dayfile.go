// Package dayfile keeps blocks of what comes in, in one file a day, of which the
// oldest go first.
//
// A Row is a folder with a file for each day on which something came. A file is
// a database of blocks: what came at once from one owner, packed and compressed,
// beside what is known of it unopened. Many small blocks are merged into few
// large ones (Add), a Filter tells of most blocks that they need not be opened,
// days that are old or too much go (Prune), and a file that was damaged on disk
// is begun anew with what can be read of it. A process may be killed at any
// moment: what was committed is there, and nothing by halves.
//
// What is in a block, and how it is found there, is the affair of the packages
// whose Kind it is.
package dayfile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the engine of the files
)

// Kind is one kind of day files.
type Kind struct {
	Name  string   // of what is kept, and the ending of the files' names: "logs"
	Items string   // of what a block is made, and its column that counts them: "lines"
	Owner []string // columns of blocks that say whose one is
	Order string   // column by which the blocks of an owner are in order

	// Schema makes the tables of a file where they are missing. Its table blocks has
	// the columns above and
	//
	//	id      INTEGER PRIMARY KEY
	//	rank    INTEGER NOT NULL -- how often it was merged; 9: it is not merged any more
	//	bytes   INTEGER NOT NULL -- of its items, unpacked
	//	oldest  INTEGER NOT NULL -- time of an item, microseconds since 1970
	//	newest  INTEGER NOT NULL
	//	filter  BLOB             -- of what is in it
	//	data    BLOB NOT NULL
	Schema string

	Seal   int    // bytes of items with which a block is left as it is
	Cut    int    // no block is begun anew before an item that fits into so many bytes
	Synced bool   // committed means that it survives a machine that loses its power
	Stays  string // condition on a block b that never goes alone, only with its file; "": none
	Swept  string // done to a file of which blocks went; "": nothing

	// Copy writes a block that was read from a damaged file into one that is begun
	// anew, and returns how many items that are; none where the block is worth nothing.
	Copy func(ctx context.Context, to *File, b Block) (items int64, err error)
	// Carry copies what goes on from a file that is about to go, or that is damaged,
	// and is not mentioned in the one after it; nil: there is no such thing.
	Carry func(ctx context.Context, from *sql.DB, to *File, damaged bool) error
}

// Block is a block as it lies in a file.
type Block struct {
	Owner          []string
	At             int64 // its place in the owner's order
	Items          int64
	Rank           int64
	Bytes          int64
	Oldest, Newest int64
	Filter, Data   []byte
}

// Of is the day of a time: 20260301, UTC.
func Of(t time.Time) int {
	t = t.UTC()
	return t.Year()*10000 + int(t.Month())*100 + t.Day()
}

// File is the file of one day.
type File struct {
	Day    int
	Writer *sql.DB // one connection
	Reader *sql.DB // cannot write
	Memory any     // of the kind, while the file is open; nil again after a Write that failed

	kind   *Kind
	stacks map[string]*stack // by owner, as far as they were asked for; only while Row.mu is held
}

func open(ctx context.Context, k *Kind, path string, day int) (*File, error) {
	f := &File{Day: day, kind: k, stacks: map[string]*stack{}}
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)"
	sync := "normal"
	if k.Synced {
		sync = "full"
	}
	var err error
	if f.Writer, err = sql.Open("sqlite", name+"&_pragma=auto_vacuum(incremental)&_pragma=journal_mode(wal)&_pragma=synchronous("+sync+")&_txlock=immediate"); err != nil {
		return nil, fmt.Errorf("open %s of day %d: %w", k.Name, day, err)
	}
	f.Writer.SetMaxOpenConns(1)
	if _, err := f.Writer.ExecContext(ctx, k.Schema); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s of day %d: %w", k.Name, day, err), f.Writer.Close())
	}
	if f.Reader, err = sql.Open("sqlite", name+"&_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s of day %d: %w", k.Name, day, err), f.Writer.Close())
	}
	f.Reader.SetMaxOpenConns(8)
	return f, nil
}

func (f *File) close() error { return errors.Join(f.Writer.Close(), f.Reader.Close()) }

// Write has something written, as a whole or not at all.
func (f *File) Write(ctx context.Context, write func(tx *sql.Tx) error) (err error) {
	tx, err := f.Writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			clear(f.stacks) // they ran ahead of what is stored
			f.Memory = nil
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if err := write(tx); err != nil {
		return err
	}
	return tx.Commit()
}
