package server

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/observe/logs"
	"naru/internal/observe/meter"
	"naru/internal/route"
	"naru/internal/route/encode"
)

// accessLog writes the gateways' records into the logs of the apps they are
// about, and has what they counted added up.
type accessLog struct {
	*meter.Meter
	book *logs.Book
	log  *slog.Logger
}

// Access keeps one line for each request that reached a route.
func (a *accessLog) Access(gateway string, records []route.Access, dropped uint64) {
	lines := linesOf(records)
	// A deadline of its own: the gateway's acknowledgements wait behind this.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := a.book.Append(ctx, lines, nil); err != nil {
		a.Dropped(uint64(len(lines)))
		a.log.Warn("keep access records", "gateway", gateway, "count", len(lines), "error", err)
	}
	if dropped > 0 {
		a.Dropped(dropped)
		a.log.Warn("access records dropped", "gateway", gateway, "count", dropped)
	}
}

// linesOf are the lines of the records of apps. Their texts share memory.
func linesOf(records []route.Access) []logs.Line {
	lines := make([]logs.Line, 0, len(records))
	var (
		text  strings.Builder
		ends  = make([]int, 0, len(records))
		line  []byte
		clock encode.Clock
	)
	text.Grow(lineBytes * len(records))
	for i := range records {
		r := &records[i]
		if r.App.ID == "" {
			continue
		}
		line = r.AppendLine(line[:0], &clock)
		text.Write(line)
		ends = append(ends, text.Len())
		lines = append(lines, logs.Line{Time: r.Time.UTC(), App: app.ID(r.App.ID), Source: logs.Router, Index: r.Index, Instance: r.Instance, Stream: "stdout"})
	}
	all, from := text.String(), 0
	for i, end := range ends {
		lines[i].Text, from = all[from:end], end
	}
	return lines
}

// lineBytes is what most lines take.
const lineBytes = 512

// Ejected notes which instances a gateway stopped sending to.
func (a *accessLog) Ejected(gateway string, ejections []route.Ejection) {
	for _, e := range ejections {
		a.log.Warn("gateway ejected instance", "gateway", gateway, "ejection", e)
	}
}
