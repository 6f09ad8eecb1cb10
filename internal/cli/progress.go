package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"naru/internal/client"
)

// watcher shows how an operation goes: one line per step, which on a terminal
// lives until the step ends. Output of a step is kept back, and shown when asked
// for or when the step fails.
type watcher struct {
	s       *Screen
	verbose bool
	sent    sending // what was uploaded before the operation began

	mu    sync.Mutex // guards what follows
	began time.Time
	heard bool // a first line came
	step  string
	text  string
	since time.Time
	tail  []string // last lines of output of the step
	where string   // where the app is live; shown at the very end
}

// keptBack is how many lines of output a failed step shows.
const keptBack = 40

// patienceToStart is how long an operation may say nothing before the line on
// the terminal says that it waits for its turn.
const patienceToStart = time.Second

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

// follow shows an operation until it ends and returns it as it ended. An end
// that is not good is an error.
func (c *cmd) follow(ctx context.Context, cl *client.Client, op client.Operation, verbose bool) (client.Operation, error) {
	return c.watch(ctx, cl, op, &watcher{s: c.screen, verbose: verbose})
}

func (c *cmd) watch(ctx context.Context, cl *client.Client, op client.Operation, w *watcher) (client.Operation, error) {
	show, stop := w.show, func() {}
	if c.screen.json {
		show = func(p client.Progress) {
			c.screen.answered()
			_ = c.screen.line(p) // a closed pipe ends the program anyway
		}
	} else {
		stop = w.animate()
	}
	end, err := cl.Follow(ctx, op.ID, show)
	stop()
	if err != nil {
		if ctx.Err() != nil {
			c.left(op)
		}
		return end, err
	}
	if c.screen.json {
		if err := c.screen.line(map[string]any{"operation": end}); err != nil {
			return end, err
		}
	}
	if err := end.Err(); err != nil {
		return end, endedBadly{err}
	}
	if !c.screen.json {
		w.arrive(end)
	}
	return end, nil
}

// left says how to come back to what goes on without anybody watching.
func (c *cmd) left(op client.Operation) {
	text := fmt.Sprintf("%s of %s goes on; come back with: naru operations %s, or end it with: naru operations cancel %s", op.Kind, op.Subject, op.ID, op.ID)
	if op.AppID != "" || op.Subject == "" {
		text = fmt.Sprintf("the %s goes on; come back with: naru operations %s, or end it with: naru operations cancel %s", op.Kind, op.ID, op.ID)
	}
	c.screen.mu.Lock()
	defer c.screen.mu.Unlock()
	c.screen.wipe()
	c.screen.note("interrupted", warn, text)
}

// animate redraws the living line; the function it returns ends that.
func (w *watcher) animate() (stop func()) {
	w.began = time.Now()
	if !w.s.live {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-tick.C:
				w.redraw([]rune(frames)[n%len([]rune(frames))])
			}
		}
	}()
	return func() { close(done); <-ended; w.s.rest() }
}

func (w *watcher) redraw(frame rune) {
	w.mu.Lock()
	defer w.mu.Unlock()
	step, text, since := w.step, w.text, w.since
	switch trouble := w.s.wanting(); {
	case trouble != "":
		text = w.s.paint(warn, "waiting for the server: "+trouble)
	case !w.heard && time.Since(w.began) > patienceToStart:
		text, since = "waiting for earlier work on the same app", w.began
	case step == "":
		return
	}
	w.s.draw(fmt.Sprintf("%s %s %s  %s", w.s.paint(warn, string(frame)), pad(step), text, w.s.paint(faint, time.Since(since).Round(time.Second).String())))
}

// show takes in one line of progress.
func (w *watcher) show(p client.Progress) {
	w.s.answered()
	p.Text = tame(p.Text)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = true
	if p.Step == "live" {
		w.where, w.step = p.Text, ""
		return
	}
	if p.Step != w.step && p.Status != client.StepDone && p.Status != client.StepSkipped {
		w.step, w.text, w.since, w.tail = p.Step, "", time.Now(), nil
	}
	switch p.Status {
	case client.StepStarted:
		if !w.s.live && !(p.Step == "source" && w.sent.done) { // which is shown already
			w.s.say("%s %s", w.s.paint(faint, "·"), p.Step)
		}
	case client.StepInfo:
		w.text = p.Text
		if !w.s.live || w.verbose {
			w.s.say("%s %s %s", w.s.paint(faint, "·"), pad(p.Step), p.Text)
		}
	case client.StepLog:
		w.output(p.Text)
	case client.StepDone, client.StepSkipped:
		w.end("✓", good, p)
	case client.StepFailed:
		for _, line := range w.tail {
			w.s.say("  %s %s", w.s.paint(faint, "|"), line)
		}
		p.Text = "failed" // what went wrong is the error that ends the command
		w.end("✗", bad, p)
	}
}

// output takes in a line that the step's own programs wrote.
func (w *watcher) output(line string) {
	if w.verbose {
		w.s.say("  %s %s", w.s.paint(faint, "|"), line)
	} else if w.tail = append(w.tail, line); len(w.tail) > keptBack {
		w.tail = w.tail[1:]
	}
	w.text = line
}

func (w *watcher) end(mark, color string, p client.Progress) {
	text, spent := p.Text, p.Took
	if p.Step == "source" && w.sent.done {
		text += ", " + w.sent.String()
		spent += client.Duration(w.sent.took)
	}
	if t := took(spent); t != "" {
		text += w.s.paint(faint, "  "+t)
	}
	w.s.say("%s %s %s", w.s.paint(color, mark), pad(p.Step), text)
	w.step, w.tail = "", nil
}

// arrive ends a story that went well: where the app answers, how long all of it
// took, and the way back out.
func (w *watcher) arrive(end client.Operation) {
	if w.where == "" {
		return
	}
	var res struct{ Undo string }
	_ = json.Unmarshal(end.Result, &res) // a result without it has no way back
	text := w.where + w.s.paint(faint, "  "+took(client.Duration(time.Since(w.began)+w.sent.took)))
	if res.Undo != "" {
		text += w.s.paint(faint, "  back out with: ") + res.Undo
	}
	w.s.say("%s %s %s", w.s.paint(good, "✓"), pad("live"), text)
}

func pad(step string) string { return fmt.Sprintf("%-9s", step) }
