package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"naru/internal/app"
	"naru/internal/fault"
)

// Limits of what an operation reports. Log lines over MaxLogLines are counted
// and left out; the last ones matter most for a failure and travel in its error.
const (
	MaxLogLines = 20_000
	MaxLine     = 4 << 10 // bytes
	flushEvery  = 200 * time.Millisecond
)

// Work is one attempt at an operation, in the hands of its handler.
type Work struct {
	Operation
	Log      *slog.Logger
	store    Store
	canceled chan struct{}
	once     sync.Once // closes canceled

	storing sync.Mutex // keeps lines in order, so it is held across the store; guards told
	told    bool       // that progress cannot be stored: it comes often
	mu      sync.Mutex // guards all below; never held across the store
	memory  map[string]json.RawMessage
	lines   []Progress
	logged  int
	flushed time.Time
}

func newWork(op Operation, store Store, log *slog.Logger) *Work {
	w := &Work{Operation: op, Log: log, store: store, canceled: make(chan struct{}), memory: map[string]json.RawMessage{}}
	if err := json.Unmarshal(op.Memory, &w.memory); err != nil {
		w.memory = map[string]json.RawMessage{}
	}
	return w
}

// Canceled is closed when somebody asks the operation to end early. A handler
// that has changed something puts it back first and then returns an error; one
// that has finished all the same returns none.
func (w *Work) Canceled() <-chan struct{} { return w.canceled }

// Cancelable returns a context that ends when somebody asks the operation to
// end early, for work that leaves nothing behind.
func (w *Work) Cancelable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-w.canceled:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

func (w *Work) cancel() { w.once.Do(func() { close(w.canceled) }) }

func (w *Work) isCanceled() bool {
	select {
	case <-w.canceled:
		return true
	default:
		return false
	}
}

// fresh reports that no step has ended yet, so that nothing has to be put back.
func (w *Work) fresh() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.memory) == 0
}

// Bind decodes the operation's request.
func (w *Work) Bind(request any) error {
	if err := json.Unmarshal(w.Request, request); err != nil {
		return fmt.Errorf("read request of operation %s: %w", w.ID, err)
	}
	return nil
}

// Outcome is what a step reports when it ends well.
type Outcome struct {
	Text    string // for people, one line
	Data    any    // for programs
	Skipped bool   // nothing had to be done
}

// Step runs a part of an operation that must not run twice: once fn has
// returned well its value is stored, and after a crash that value is returned
// without calling fn. A crash while fn runs calls it again, so its effects must
// be idempotent. name is what people see; steps of one operation have different
// names.
func Step[T any](ctx context.Context, w *Work, name string, fn func(context.Context) (T, Outcome, error)) (T, error) {
	var value T
	if known, ok := w.recall(name); ok {
		if err := json.Unmarshal(known, &value); err != nil {
			return value, fmt.Errorf("read memory of step %s: %w", name, err)
		}
		return value, nil
	}
	start := time.Now()
	w.report(ctx, Progress{Step: name, Status: StepStarted})
	value, out, err := fn(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.report(ctx, Progress{Step: name, Status: StepFailed, Text: fault.Of(err).Message, Took: app.Duration(time.Since(start))})
		}
		return value, err
	}
	end := Progress{Step: name, Status: StepDone, Text: out.Text, Took: app.Duration(time.Since(start))}
	if out.Skipped {
		end.Status = StepSkipped
	}
	if out.Data != nil {
		if end.Data, err = json.Marshal(out.Data); err != nil {
			return value, fmt.Errorf("encode outcome of step %s: %w", name, err)
		}
	}
	if err := w.remember(ctx, name, value, end); err != nil {
		return value, fmt.Errorf("store outcome of step %s: %w", name, err)
	}
	return value, nil
}

// Keep stores a value under a name in an operation's memory, without telling
// anybody. With the context of a transaction it is kept exactly when what it
// belongs to is: that is how a step that was cut off after its commit knows.
func Keep[T any](ctx context.Context, w *Work, name string, value T) error {
	next, memory, err := w.with(name, value)
	if err != nil {
		return err
	}
	if err := w.store.ReportOperation(ctx, w.ID, memory, nil); err != nil {
		return fmt.Errorf("keep %s of an operation: %w", name, err)
	}
	w.mu.Lock()
	w.memory = next
	w.mu.Unlock()
	return nil
}

// Begun reports that a step of an operation has ended, or something was kept.
func (o Operation) Begun() bool { return len(o.Memory) > len("{}") }

// Kept returns what an operation, also one that has ended, remembers of a step
// or was told to keep under a name.
func Kept[T any](op Operation, name string) (value T, ok bool, err error) {
	var memory map[string]json.RawMessage
	if len(op.Memory) > 0 {
		if err := json.Unmarshal(op.Memory, &memory); err != nil {
			return value, false, fmt.Errorf("read memory of operation %s: %w", op.ID, err)
		}
	}
	known, ok := memory[name]
	if !ok {
		return value, false, nil
	}
	if err := json.Unmarshal(known, &value); err != nil {
		return value, false, fmt.Errorf("read %s of operation %s: %w", name, op.ID, err)
	}
	return value, true, nil
}

// Info reports a sentence about a step.
func (w *Work) Info(ctx context.Context, step, format string, args ...any) {
	w.report(ctx, Progress{Step: step, Status: StepInfo, Text: fmt.Sprintf(format, args...)})
}

// Output reports a line of output of a step. Lines are stored in batches.
func (w *Work) Output(ctx context.Context, step, line string) {
	w.mu.Lock()
	w.logged++
	over := w.logged - MaxLogLines
	if over <= 1 {
		if over == 1 {
			line = fmt.Sprintf("(more than %d lines: the rest is left out)", MaxLogLines)
		}
		w.lines = append(w.lines, Progress{Operation: w.ID, Time: time.Now().UTC(), Step: step, Status: StepLog, Text: cut(line)})
	}
	due := time.Since(w.flushed) >= flushEvery || len(w.lines) >= 500
	w.mu.Unlock()
	if due {
		w.flush(ctx)
	}
}

// report stores a line at once, after those that wait.
func (w *Work) report(ctx context.Context, p Progress) {
	p.Operation, p.Time, p.Text = w.ID, time.Now().UTC(), cut(p.Text)
	w.mu.Lock()
	w.lines = append(w.lines, p)
	w.mu.Unlock()
	w.flush(ctx)
}

// flush stores the lines that wait. Progress that cannot be stored is kept for
// the next try: it must not fail the work it tells about.
func (w *Work) flush(ctx context.Context) {
	w.storing.Lock()
	defer w.storing.Unlock()
	lines := w.take()
	if len(lines) == 0 {
		return
	}
	if err := w.store.ReportOperation(ctx, w.ID, nil, lines); err != nil {
		w.putBack(lines)
		if ctx.Err() == nil && !w.told {
			w.told = true
			w.Log.WarnContext(ctx, "store progress", "error", err)
		}
		return
	}
	w.told = false
}

func (w *Work) take() []Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines, w.flushed = nil, time.Now()
	return lines
}

// putBack keeps lines that could not be stored, before those that came since.
func (w *Work) putBack(lines []Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(slices.Clip(lines), w.lines...)
}

func (w *Work) recall(name string) (json.RawMessage, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known, ok := w.memory[name]
	return known, ok
}

// with is the memory with a value more, as it is and as it is stored.
func (w *Work) with(name string, value any) (map[string]json.RawMessage, json.RawMessage, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	next := maps.Clone(w.memory)
	w.mu.Unlock()
	next[name] = encoded
	memory, err := json.Marshal(next)
	return next, memory, err
}

// remember stores a step's value and its last line in one transaction.
func (w *Work) remember(ctx context.Context, name string, value any, end Progress) error {
	next, memory, err := w.with(name, value)
	if err != nil {
		return err
	}
	end.Operation, end.Time, end.Text = w.ID, time.Now().UTC(), cut(end.Text)
	w.storing.Lock()
	defer w.storing.Unlock()
	lines := w.take()
	if err := w.store.ReportOperation(ctx, w.ID, memory, append(lines, end)); err != nil {
		w.putBack(lines)
		return err
	}
	w.mu.Lock()
	w.memory = next
	w.mu.Unlock()
	return nil
}

// cut makes a line storable: valid text of bounded length.
func cut(line string) string {
	line = strings.ToValidUTF8(line, "\uFFFD")
	if len(line) <= MaxLine {
		return line
	}
	line = line[:MaxLine]
	for !utf8.ValidString(line) {
		line = line[:len(line)-1]
	}
	return line + "…"
}
