//go:build linux

package server

import (
	"context"
	"log/slog"

	"naru/internal/event"
	"naru/internal/observe/chronicle"
	"naru/internal/observe/logs"
	"naru/internal/store"
)

// past is the record of what happened, as the chronicle reads it.
type past struct{ *store.Store }

// EventsAfter lists events behind a place.
func (p past) EventsAfter(ctx context.Context, after int64, kinds []event.Kind) ([]event.Event, error) {
	return p.Events(ctx, store.EventFilter{After: after, Kinds: kinds})
}

// LastEvent is the newest place.
func (p past) LastEvent(ctx context.Context) (int64, error) {
	last, err := p.Events(ctx, store.EventFilter{Newest: true, Limit: 1})
	if err != nil || len(last) == 0 {
		return 0, err
	}
	return last[0].Seq, nil
}

// chronicled writes what happens into the logs of apps.
func chronicled(st *store.Store, book *logs.Book, log *slog.Logger) func(context.Context) error {
	w := chronicle.New(past{st}, book, log)
	return func(ctx context.Context) error {
		sub := st.Listen(store.Events)
		defer sub.Close()
		return w.Run(ctx, sub.C)
	}
}
