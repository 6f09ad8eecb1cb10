package deliver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/operation"
)

// staging is the output of one build: progress for whoever follows the push, and
// lines of the app's log for whoever looks later.
type staging struct {
	work *operation.Work
	app  app.ID
	book Logs

	mu    sync.Mutex  // guards all below
	lines []logs.Line // that are to be kept
	count int
	over  int // lines that were left out
}

// keepEvery is how long a line of a build waits for others: a line each would cost
// a sync each, and whoever follows the log of the app waits for it.
const keepEvery = 500 * time.Millisecond

// follow keeps what is heard while a build goes on. stop ends that and keeps the
// rest; a build that was canceled has its log too.
func (s *staging) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(keepEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.keep(context.WithoutCancel(ctx)) // what it took must not be lost
			}
		}
	}()
	return func() {
		cancel()
		<-done
		s.mu.Lock()
		if s.over > 0 {
			s.add(build.Event{At: time.Now()}, fmt.Sprintf("(%d lines of output left out)", s.over))
		}
		s.mu.Unlock()
		last, end := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer end()
		s.keep(last)
	}
}

// hear takes in what a build tells.
func (s *staging) hear(ctx context.Context, e build.Event) {
	text := ""
	switch e.Kind {
	case build.Line:
		text = e.Text
	case build.Started:
		text = "==> " + e.Step
	case build.Cached:
		text = "==> " + e.Step + " (cached)"
	case build.Done:
		text = fmt.Sprintf("<== %s: %s", e.Step, e.Took.Round(time.Millisecond))
	case build.StepFailed:
		text = fmt.Sprintf("<== %s failed: %s", e.Step, e.Text)
	case build.Warning:
		s.work.Info(ctx, "build", "%s", e.Text)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.add(e, e.Text)
		return
	default:
		return
	}
	s.work.Output(ctx, "build", text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count >= operation.MaxLogLines {
		s.over++
		return
	}
	s.add(e, text)
}

// add is for whoever holds mu.
func (s *staging) add(e build.Event, text string) {
	s.count++
	s.lines = append(s.lines, logs.Line{Time: e.At.UTC(), App: s.app, Source: logs.Staging, Stream: "stdout", Text: text})
}

// keep writes the lines into the app's log, all at once.
func (s *staging) keep(ctx context.Context) {
	s.mu.Lock()
	lines := s.lines
	s.lines = nil
	s.mu.Unlock()
	if len(lines) == 0 {
		return
	}
	if err := s.book.Append(ctx, lines, nil); err != nil && ctx.Err() == nil {
		s.work.Log.WarnContext(ctx, "keep log of build", "error", err)
	}
}
