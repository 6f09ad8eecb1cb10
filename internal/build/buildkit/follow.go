package buildkit

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"time"

	bkclient "github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"naru/internal/build"
)

const (
	tailLines = 20   // kept of each step, for the message of a failure
	maxLine   = 4096 // bytes; longer lines are cut
)

// follower turns the daemon's reports into events and keeps what the message of
// a failure needs. It is used by one goroutine until run returns.
type follower struct {
	emit  func(build.Event)
	log   logBound
	steps map[digest.Digest]*stepState
	order []digest.Digest
	warns []build.Hint
}

type stepState struct {
	name    string
	started bool
	ended   bool
	cached  bool
	failure string
	partial map[int][]byte // unfinished line by stream
	tail    []string
}

func newFollower(emit func(build.Event), logBytes int64) *follower {
	if emit == nil {
		emit = func(build.Event) {}
	}
	return &follower{emit: emit, log: logBound{most: logBytes}, steps: map[digest.Digest]*stepState{}}
}

// run reads reports until the daemon has no more.
func (f *follower) run(status <-chan *bkclient.SolveStatus) {
	for s := range status {
		for _, v := range s.Vertexes {
			f.vertex(v)
		}
		for _, l := range s.Logs {
			f.logged(l)
		}
		for _, w := range s.Warnings {
			f.warned(w)
		}
	}
	for _, d := range f.order {
		f.flush(f.steps[d])
	}
	if news, ok := f.log.end(); ok {
		f.emit(build.Event{Kind: build.Warning, Text: news, At: time.Now()})
	}
}

func (f *follower) step(d digest.Digest) *stepState {
	s, ok := f.steps[d]
	if !ok {
		s = &stepState{partial: map[int][]byte{}}
		f.steps[d] = s
		f.order = append(f.order, d)
	}
	return s
}

// shown reports whether a step is worth a line: not the daemon's own errands.
func (s *stepState) shown() bool {
	return s.name != "" && !strings.HasPrefix(s.name, "[internal]") && !strings.HasPrefix(s.name, "[auth]")
}

func (f *follower) vertex(v *bkclient.Vertex) {
	s := f.step(v.Digest)
	s.name = strings.ToValidUTF8(v.Name, "\uFFFD")
	if v.Started != nil && !s.started {
		s.started = true
		if s.shown() && !v.Cached {
			f.emit(build.Event{Kind: build.Started, Step: s.name, At: *v.Started})
		}
	}
	if v.Cached {
		s.cached = true
	}
	if v.Completed == nil || s.ended {
		return
	}
	s.ended = true
	f.flush(s)
	if !s.shown() && v.Error == "" {
		return
	}
	e := build.Event{Kind: build.Done, Step: s.name, At: *v.Completed}
	switch {
	case v.Error != "":
		s.failure = v.Error
		e.Kind, e.Text = build.StepFailed, failure(v.Error)
	case s.cached:
		e.Kind = build.Cached
	case v.Started != nil:
		e.Took = v.Completed.Sub(*v.Started)
	}
	f.emit(e)
}

var exitCode = regexp.MustCompile(`did not complete successfully: exit code: (\d+)$`)

// failure is the daemon's error without the command, which the step names.
func failure(text string) string {
	if m := exitCode.FindStringSubmatch(text); m != nil {
		return "exit " + m[1]
	}
	return shorten(text)
}

func (f *follower) logged(l *bkclient.VertexLog) {
	s := f.step(l.Vertex)
	buf := append(s.partial[l.Stream], l.Data...)
	for {
		i := bytes.IndexByte(buf, '\n')
		if i < 0 {
			break
		}
		f.line(s, buf[:i], l.Timestamp)
		buf = buf[i+1:]
	}
	if len(buf) > maxLine {
		f.line(s, buf, l.Timestamp)
		buf = nil
	}
	s.partial[l.Stream] = slices.Clone(buf)
}

func (f *follower) flush(s *stepState) {
	for stream, rest := range s.partial {
		if len(rest) > 0 {
			f.line(s, rest, time.Now())
		}
		delete(s.partial, stream)
	}
}

func (f *follower) line(s *stepState, raw []byte, at time.Time) {
	text := clean(raw)
	if s.tail = append(s.tail, text); len(s.tail) > tailLines {
		s.tail = s.tail[1:]
	}
	keep, news := f.log.take(text)
	if keep {
		f.emit(build.Event{Kind: build.Line, Step: s.name, Text: text, At: at})
	}
	if news != "" {
		f.emit(build.Event{Kind: build.Warning, Text: news, At: at})
	}
}

// clean makes a line of output safe to show: the last state of a line that a
// progress bar wrote over itself, without terminal sequences, cut and valid.
func clean(raw []byte) string {
	raw = bytes.TrimRight(raw, "\r\n")
	if i := bytes.LastIndexByte(raw, '\r'); i >= 0 {
		raw = raw[i+1:]
	}
	if len(raw) > maxLine {
		raw = append(slices.Clone(raw[:maxLine]), " ..."...)
	}
	var b strings.Builder
	for text := strings.ToValidUTF8(string(raw), "\uFFFD"); text != ""; {
		if rest, ok := afterEscape(text); ok {
			text = rest
			continue
		}
		r := []rune(text[:min(len(text), 4)])[0]
		size := len(string(r))
		if r >= ' ' && r != 0x7f || r == '\t' {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// afterEscape skips one terminal sequence: ESC [ ... letter, ESC ] ... BEL, or
// ESC and one more.
func afterEscape(s string) (string, bool) {
	if !strings.HasPrefix(s, "\x1b") {
		return s, false
	}
	s = s[1:]
	switch {
	case strings.HasPrefix(s, "["):
		i := strings.IndexFunc(s[1:], func(r rune) bool { return r >= '@' && r <= '~' })
		if i < 0 {
			return "", true
		}
		return s[i+2:], true
	case strings.HasPrefix(s, "]"):
		_, rest, _ := strings.Cut(s, "\a")
		return rest, true
	case s == "":
		return "", true
	}
	return s[1:], true
}

func (f *follower) warned(w *bkclient.VertexWarning) {
	h := build.Hint{Message: clean(w.Short), Try: w.URL}
	f.warns = append(f.warns, h)
	f.emit(build.Event{Kind: build.Warning, Text: h.String(), At: time.Now()})
}

func (f *follower) warnings() []build.Hint { return f.warns }

func (f *follower) count() build.StepCount {
	var n build.StepCount
	for _, s := range f.steps {
		if s.shown() && s.ended {
			n.Total++
			if s.cached {
				n.Cached++
			}
		}
	}
	return n
}

// failed returns the step that failed with output, else any that failed.
func (f *follower) failed() *stepState {
	var found *stepState
	for _, d := range f.order {
		if s := f.steps[d]; s.failure != "" && (found == nil || len(found.tail) == 0 && len(s.tail) > 0) {
			found = s
		}
	}
	return found
}

// running returns the step that had started last and not ended.
func (f *follower) running() *stepState {
	for _, d := range slices.Backward(f.order) {
		if s := f.steps[d]; s.started && s.shown() && (!s.ended || s.failure != "") {
			return s
		}
	}
	return nil
}
