package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"naru/internal/client"
	"naru/internal/fault"
)

// Screen is where a command speaks to a person, or as JSON to a program. On a
// terminal it may draw over its last line; everywhere else it prints plain lines.
type Screen struct {
	out, err io.Writer
	live     bool // out is a terminal that can be drawn on
	color    bool
	json     bool

	mu    sync.Mutex
	drawn bool // the last line may be drawn over
}

func newScreen(w World, asJSON, noColor bool) *Screen {
	s := &Screen{out: w.Out, err: w.Err, json: asJSON}
	s.live = terminal(w.Out) && !asJSON && w.Getenv("TERM") != "dumb"
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

// draw shows a line that the next one replaces; only on a terminal.
func (s *Screen) draw(line string) {
	if !s.live {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprint(s.out, s.fit(line))
	s.drawn = true
}

func (s *Screen) wipe() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[2K")
		s.drawn = false
	}
}

// fit cuts a line to the terminal's width, so that it can be wiped.
func (s *Screen) fit(line string) string {
	width := 80
	if f, ok := s.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			width = w
		}
	}
	if utf8.RuneCountInString(line) < width || strings.Contains(line, "\x1b") && utf8.RuneCountInString(line) < width+16 {
		return line
	}
	return string([]rune(line)[:width-2]) + "…"
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
	tw := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(headings, "\t"))
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	return tw.Flush()
}

// fail prints an error the way a tired person can use it.
func (s *Screen) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	f := fault.Of(err)
	text := f.Message
	if f.Kind == fault.Internal && f.Err != nil {
		text = f.Err.Error()
	}
	if f.Field != "" && !strings.Contains(text, f.Field) {
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

// waiting says that the server does not answer.
func (s *Screen) waiting(err error, wait time.Duration) {
	if s.live {
		s.draw(s.paint(warn, "waiting for the server: "+fault.Of(err).Message))
	}
}

// health paints what an app is.
func (s *Screen) health(h string) string {
	switch h {
	case "healthy", "done", "succeeded":
		return s.paint(good, h)
	case "crashed", "unhealthy", "failed":
		return s.paint(bad, h)
	case "starting", "degraded", "pending", "draining", "stopping", "queued", "running":
		return s.paint(warn, h)
	}
	return s.paint(faint, h)
}

func plural(n int, unit string) string { return strconv.Itoa(n) + unit }

// size prints bytes as people read them.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// took prints a duration to what matters.
func took(d client.Duration) string {
	t := time.Duration(d)
	switch {
	case t <= 0:
		return ""
	case t < time.Second:
		return t.Round(time.Millisecond).String()
	case t < time.Minute:
		return t.Round(100 * time.Millisecond).String()
	}
	return t.Round(time.Second).String()
}
