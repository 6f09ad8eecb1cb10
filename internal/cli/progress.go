package cli

import (
	"context"
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

	mu    sync.Mutex // guards what follows
	step  string
	text  string
	since time.Time
	tail  []string // last lines of output of the step
}

// keptBack is how many lines of output a failed step shows.
const keptBack = 40

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

// follow shows an operation until it ends and returns it.
func (c *cmd) follow(ctx context.Context, cl *client.Client, op client.Operation, verbose bool) (client.Operation, error) {
	if c.screen.json {
		end, err := cl.Follow(ctx, op.ID, func(p client.Progress) { _ = c.screen.line(p) }) // a closed pipe ends the program anyway
		if err != nil {
			return end, err
		}
		if err := c.screen.line(map[string]any{"operation": end}); err != nil {
			return end, err
		}
		return end, end.Err()
	}
	w := &watcher{s: c.screen, verbose: verbose}
	stop := w.animate()
	end, err := cl.Follow(ctx, op.ID, w.show)
	stop()
	if err != nil {
		if ctx.Err() != nil {
			c.screen.say("left it running; come back with: naru operations %s", op.ID)
		}
		return end, err
	}
	return end, end.Err()
}

// animate redraws the living line; the function it returns ends that.
func (w *watcher) animate() (stop func()) {
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
				w.mu.Lock()
				if w.step != "" {
					frame := string([]rune(frames)[n%10])
					w.s.draw(fmt.Sprintf("%s %s %s  %s", w.s.paint(warn, frame), pad(w.step), w.text, w.s.paint(faint, time.Since(w.since).Round(time.Second).String())))
				}
				w.mu.Unlock()
			}
		}
	}()
	return func() { close(done); <-ended }
}

// show takes in one line of progress.
func (w *watcher) show(p client.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Step != w.step && p.Status != client.StepDone && p.Status != client.StepSkipped {
		w.step, w.text, w.since, w.tail = p.Step, "", time.Now(), nil
	}
	switch p.Status {
	case client.StepInfo:
		w.text = p.Text
		if p.Step == "live" {
			w.end("✓", good, p)
		} else if !w.s.live || w.verbose {
			w.s.say("%s %s %s", w.s.paint(faint, "·"), pad(p.Step), p.Text)
		}
	case client.StepLog:
		if w.verbose {
			w.s.say("  %s %s", w.s.paint(faint, "|"), p.Text)
		} else if w.tail = append(w.tail, p.Text); len(w.tail) > keptBack {
			w.tail = w.tail[1:]
		}
		if w.s.live {
			w.text = p.Text
		}
	case client.StepDone, client.StepSkipped:
		w.end("✓", good, p)
	case client.StepFailed:
		for _, line := range w.tail {
			w.s.say("  %s %s", w.s.paint(faint, "|"), line)
		}
		w.end("✗", bad, p)
	}
}

func (w *watcher) end(mark, color string, p client.Progress) {
	text := p.Text
	if t := took(p.Took); t != "" {
		text += w.s.paint(faint, "  "+t)
	}
	w.s.say("%s %s %s", w.s.paint(color, mark), pad(p.Step), text)
	w.step, w.tail = "", nil
}

func pad(step string) string { return fmt.Sprintf("%-9s", step) }
