package deliver

import (
	"context"
	"fmt"
	"time"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/operation"
)

// staging is the output of one build: progress for whoever follows the push, and
// lines of the app's log for whoever looks later.
type staging struct {
	work  *operation.Work
	app   app.ID
	lines []logs.Line
	over  int // lines that were left out
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
		s.add(e, e.Text)
		return
	default:
		return
	}
	s.work.Output(ctx, "build", text)
	if len(s.lines) >= operation.MaxLogLines {
		s.over++
		return
	}
	s.add(e, text)
}

func (s *staging) add(e build.Event, text string) {
	s.lines = append(s.lines, logs.Line{Time: e.At.UTC(), App: s.app, Source: logs.Staging, Stream: "stdout", Text: text})
}

// keep writes the lines into the app's log, all at once: a line each would cost
// a sync each. A build that was canceled has its log too.
func (s *staging) keep(ctx context.Context, book Logs) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if s.over > 0 {
		s.add(build.Event{At: time.Now()}, fmt.Sprintf("(%d lines of output left out)", s.over))
	}
	if err := book.Append(ctx, s.lines, nil); err != nil {
		s.work.Log.WarnContext(ctx, "keep log of build", "error", err)
	}
}
