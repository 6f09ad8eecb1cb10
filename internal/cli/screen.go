package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"naru/internal/fault"
)

// Screen is where a command speaks to a person, or as JSON to a program. On a
// terminal it may draw over its last line; everywhere else it prints plain lines.
type Screen struct {
	out, err io.Writer
	terminal bool // out is one
	live     bool // out is a terminal that can be drawn on
	color    bool
	json     bool

	mu      sync.Mutex
	drawn   bool   // the last line may be drawn over
	trouble string // why the server is waited for; "" while it answers
}

func newScreen(w World, asJSON, noColor bool) *Screen {
	s := &Screen{out: w.Out, err: w.Err, json: asJSON, terminal: terminal(w.Out)}
	s.live = s.terminal && !asJSON && w.Getenv("TERM") != "dumb"
	s.color = s.live && !noColor && w.Getenv("NO_COLOR") == ""
	return s
}

func terminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// The colours, by meaning.
const (
	plain  = ""
	good   = "32"
	bad    = "31"
	warn   = "33"
	faint  = "2"
	strong = "1"
)

func (s *Screen) paint(color, text string) string {
	if !s.color || color == plain || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// say prints a line.
func (s *Screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// warn prints a line beside the output.
func (s *Screen) warn(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	s.note("warning", warn, text)
}

// note prints a line on the error side; mu is held.
func (s *Screen) note(what, color, text string) {
	if s.json {
		_ = json.NewEncoder(s.err).Encode(map[string]string{"kind": what, "message": text}) // nowhere left to say it
		return
	}
	fmt.Fprintln(s.err, s.paint(color, what+":")+" "+text)
}

// draw shows a line that the next one replaces; only on a terminal.
func (s *Screen) draw(line string) {
	if !s.live {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprint(s.out, fit(line, s.width()))
	s.drawn = true
}

func (s *Screen) wipe() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[2K")
		s.drawn = false
	}
}

// rest leaves the cursor on a line of its own.
func (s *Screen) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
}

func (s *Screen) width() int {
	if f, ok := s.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// data prints a value as JSON, indented.
func (s *Screen) data(v any) error {
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// line prints a value as one line of JSON.
func (s *Screen) line(v any) error { return json.NewEncoder(s.out).Encode(v) }

// table prints rows under headings, or what they were made of as JSON.
func (s *Screen) table(v any, headings []string, rows [][]string) error {
	if s.json {
		return s.data(v)
	}
	all := append([][]string{headings}, rows...)
	widths := make([]int, len(headings))
	for _, row := range all {
		for i := range row {
			row[i] = tame(row[i])
			widths[i] = max(widths[i], columns(row[i]))
		}
	}
	var b strings.Builder
	for _, row := range all {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-columns(cell)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	_, err := io.WriteString(s.out, b.String())
	return err
}

// list prints a table, or a sentence where there is nothing to show.
func list[T any](s *Screen, all []T, none string, headings []string, row func(T) []string) error {
	if all == nil {
		all = []T{}
	}
	if len(all) == 0 && !s.json {
		s.say("%s", none)
		return nil
	}
	rows := make([][]string, 0, len(all))
	for _, one := range all {
		rows = append(rows, row(one))
	}
	return s.table(all, headings, rows)
}

// done says that something was done, or shows what came out as JSON; nil is an
// empty object.
func (s *Screen) done(v any, format string, args ...any) error {
	if s.json {
		if v == nil {
			v = struct{}{}
		}
		return s.data(v)
	}
	s.say("%s %s", s.paint(good, "✓"), fmt.Sprintf(format, args...))
	return nil
}

// fail prints an error the way a tired person can use it; of several each.
func (s *Screen) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	for _, one := range several(err) {
		s.failOne(one)
	}
}

// several takes joined errors apart where each was written for people.
func several(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, one := range joined.Unwrap() {
		if fault.Of(one).Kind == fault.Internal {
			return []error{err}
		}
	}
	return joined.Unwrap()
}

func (s *Screen) failOne(err error) {
	f := fault.Of(err)
	text := f.Message
	if f.Kind == fault.Internal && f.Err != nil {
		text = f.Err.Error()
	}
	if f.Field != "" && !mentions(text, f.Field) {
		text = f.Field + ": " + text
	}
	if s.json {
		_ = json.NewEncoder(s.err).Encode(map[string]string{"kind": string(f.Kind), "field": f.Field, "message": text, "try": f.Try}) // nowhere left to say it
		return
	}
	fmt.Fprintln(s.err, s.paint(bad, "error:")+" "+text)
	if f.Try != "" {
		fmt.Fprintln(s.err, s.paint(faint, "try:  ")+" "+f.Try)
	}
}

// mentions reports that a text names a field, not only has its letters in
// another word: "link" is not named by "symlink".
func mentions(text, field string) bool {
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
	for rest := text; ; {
		before, after, found := strings.Cut(rest, field)
		if !found {
			return false
		}
		last, _ := utf8.DecodeLastRuneInString(text[:len(text)-len(rest)+len(before)])
		next, _ := utf8.DecodeRuneInString(after)
		if !inWord(last) && !inWord(next) {
			return true
		}
		rest = after
	}
}

// waiting says that the server does not answer: live on a terminal, once
// elsewhere.
func (s *Screen) waiting(err error, _ time.Duration) {
	text := fault.Of(err).Message
	s.mu.Lock()
	first := s.trouble == ""
	s.trouble = text
	if first && !s.live {
		s.note("waiting for the server", warn, text)
	}
	s.mu.Unlock()
	s.draw(s.paint(warn, "waiting for the server: "+text))
}

// answered takes back that the server does not answer.
func (s *Screen) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = ""
}

// wanting returns why the server is waited for; "" while it answers.
func (s *Screen) wanting() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// health paints what an app is.
func (s *Screen) health(h string) string {
	switch h {
	case "healthy", "done", "succeeded":
		return s.paint(good, h)
	case "crashed", "unhealthy", "failed":
		return s.paint(bad, h)
	case "starting", "degraded", "pending", "draining", "lingering", "stopping", "queued", "running":
		return s.paint(warn, h)
	}
	return s.paint(faint, h)
}
