package feature

import (
	"context"
	"sync"
	"sync/atomic"

	"naru/internal/event"
	"naru/internal/fault"
)

// Store keeps what was switched.
type Store interface {
	Features(ctx context.Context) ([]State, error)
	// SetFeature fills in Updated.
	SetFeature(ctx context.Context, st State, evs ...event.Event) (State, error)
}

// Book is where features are looked up and switched. Looking up asks the store for
// nothing.
type Book struct {
	store Store
	turn  sync.Mutex // who switches
	now   atomic.Pointer[Set]
}

// NewBook makes a book; Load reads what is kept.
func NewBook(store Store) *Book { return &Book{store: store} }

// Load reads what was switched.
func (b *Book) Load(ctx context.Context) error {
	kept, err := b.store.Features(ctx)
	if err != nil {
		return err
	}
	s := Set{}
	for _, st := range kept {
		s[st.Name] = st
	}
	b.now.Store(&s)
	return nil
}

// Now is what is switched at this moment.
func (b *Book) Now() Set {
	if s := b.now.Load(); s != nil {
		return *s
	}
	return nil
}

// Features returns all features as they are, by name.
func (b *Book) Features() []Feature { return b.Now().Features() }

// Feature returns a feature as it is; a name that there is none of is a NotFound.
func (b *Book) Feature(n Name) (Feature, error) { return b.Now().Feature(n) }

// Change is what is to be another in a feature; nil stays as it is.
type Change struct {
	On      *bool
	Message *string // "": the platform's own words
}

// Switch changes a feature, from the next request on, and records who did it. What
// is so already is no change.
func (b *Book) Switch(ctx context.Context, by string, n Name, c Change) (Feature, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	f, err := b.Feature(n)
	if err != nil {
		return f, err
	}
	want := State{Name: n, On: f.On, Message: f.Message}
	if c.On != nil {
		want.On = *c.On
	}
	if c.Message != nil {
		want.Message = *c.Message
	}
	switch {
	case want.On == f.On && want.Message == f.Message:
		return f, nil
	case f.Fixed != "":
		return f, fault.New(fault.Unsupported, "", "the feature %q cannot be switched: %s", n, f.Fixed).WithTry("naru features")
	}
	if err := checkMessage(want.Message); err != nil {
		return f, err
	}
	detail := map[string]any{"enabled": want.On}
	if want.Message != "" {
		detail["message"] = want.Message
	}
	_, err = b.store.SetFeature(ctx, want, event.Event{Kind: "feature.switched", Actor: by, Subject: string(n), Detail: detail})
	// Whether a commit whose answer was lost took place is known to the store alone.
	if loaded := b.Load(context.WithoutCancel(ctx)); err == nil {
		err = loaded
	}
	if err != nil {
		return f, err
	}
	return b.Feature(n)
}
