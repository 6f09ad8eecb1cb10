// Package logs keeps what apps write and what naru says about them, one file a
// day, and lets people read back and follow.
package logs

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/observe/logs/search"
)

// Sources of a line.
const (
	App      = "APP"  // an instance
	Task     = "TASK" // a one-off command
	Staging  = "STG"  // a build
	Router   = "RTR"  // the gateway
	Platform = "NARU" // naru itself, about the app
)

// Cursor is a place between two lines of an app: after the line that carries it.
// Lines are in the order in which they were imported.
type Cursor struct {
	Day int   // 20260301, UTC
	ID  int64 // of the app's line within the day, from 1
}

func (c Cursor) before(d Cursor) bool {
	return cmp.Or(cmp.Compare(c.Day, d.Day), cmp.Compare(c.ID, d.ID)) < 0
}

// Behind reports whether the place comes after another.
func (c Cursor) Behind(d Cursor) bool { return d.before(c) }

// String is the form that ParseCursor reads: "20260301.42".
func (c Cursor) String() string { return fmt.Sprintf("%d.%d", c.Day, c.ID) }

// ParseCursor reads what String wrote; "" is the zero Cursor, before all lines.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	day, id, ok := strings.Cut(s, ".")
	d, err1 := strconv.Atoi(day)
	n, err2 := strconv.ParseInt(id, 10, 64)
	if !ok || err1 != nil || err2 != nil || d < 0 || n < 0 {
		return Cursor{}, fault.New(fault.Invalid, "cursor", "%q is not the cursor of a log line", s)
	}
	return Cursor{d, n}, nil
}

// Line is one line of a log.
type Line struct {
	Cursor   Cursor
	Time     time.Time
	App      app.ID
	Source   string // APP, TASK, STG, RTR
	Process  string // process type, of APP and TASK
	Index    int    // of the instance
	Instance string // instance id
	Stream   string // stdout or stderr
	Text     string
	Partial  bool  // the line goes on in the next one of this instance and stream
	Dropped  int64 // so many lines were lost here; Text says why
}

// Query says which lines are wanted; zero fields want all.
type Query struct {
	App     app.ID
	After   Cursor
	Since   time.Time
	Until   time.Time // before it
	Process string
	Index   *int
	Source  string
	Search  *search.Expr
	Limit   int   // at most so many; 0: 1000
	Bytes   int64 // of text that may be looked through; 0: all
}

// Page is what a query found.
type Page struct {
	Lines []Line    // oldest first
	Next  Cursor    // behind all that was looked at: where the next query goes on
	More  bool      // Limit or Bytes ended it: there may be more
	Bytes int64     // of text that was looked through
	Gap   int64     // lines after After that are not kept any more, as far as they can be counted
	Back  time.Time // of a Tail that Bytes ended: how far back it looked
}
