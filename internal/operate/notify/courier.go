package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Route says who is told of which alerts.
type Route struct {
	Matchers  []Matcher `json:"matchers,omitempty"` // all must match; none: every alert
	Receivers []string  `json:"receivers"`
	By        []string  `json:"by,omitempty"` // labels that group alerts; none: app and alert name
}

var defaultBy = []string{LabelSpace, LabelApp, LabelName}

// Delivery is one line of the delivery log: one try.
type Delivery struct {
	At       time.Time
	Receiver string
	Message  string // its id
	Title    string
	Alerts   int
	Try      int // counted from 1
	Took     time.Duration
	Error    string // "": it arrived; never holds a secret
	Final    bool   // no further try can mend it
}

// Keeper keeps what must outlive a crash, and the delivery log.
type Keeper interface {
	// Save keeps a book in place of the one before. What is not saved is told again.
	Save(ctx context.Context, book []byte) error
	// Delivered adds a line to the delivery log.
	Delivered(ctx context.Context, d Delivery) error
}

// Settings is what an operator sets; they can be replaced at any time.
type Settings struct {
	Routes    []Route
	Receivers map[string]Sender
	Silences  []Silence
	Timing    Timing
	Base      string // address of naru, for links
}

// Courier carries messages to receivers, one at a time to each, so that one that
// hangs holds up no other.
type Courier struct {
	keep Keeper
	log  *slog.Logger
	wake chan struct{}

	saving sync.Mutex // keeps books in order; taken before mu

	mu   sync.Mutex // guards all below
	set  Settings
	book *Book
	busy map[string]bool // receivers with a message on its way

	dirty bool // the book has something that is not kept
}

// New makes a courier that goes on with a book; NewBook begins. Times in the book
// that are too far ahead, because a clock was set back meanwhile, become now.
func New(set Settings, book *Book, keep Keeper, log *slog.Logger) *Courier {
	book.rebase(set.Timing, time.Now())
	return &Courier{keep: keep, log: log, wake: make(chan struct{}, 1), set: set, book: book, busy: map[string]bool{}}
}

// Set replaces the settings. What receivers that are not among them were to be told
// is forgotten.
func (c *Courier) Set(ctx context.Context, set Settings) {
	c.mu.Lock()
	c.set = set
	forgot := c.book.keep(set.Receivers)
	c.mu.Unlock()
	if forgot {
		c.saved(ctx)
	}
	c.nudge()
}

func (c *Courier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Tell takes in that alerts began, changed or ended. What is news is kept when Tell
// returns; the same told again is none. An error that is no fault means that it
// could not be kept: tell it again.
func (c *Courier) Tell(ctx context.Context, alerts ...Alert) error {
	var full error
	news := false
	c.mu.Lock()
	for _, a := range alerts {
		one, err := c.put(a, time.Now())
		news = news || one || c.dirty
		full = cmp.Or(full, err)
	}
	c.dirty = news
	c.mu.Unlock()
	if !news {
		return full
	}
	c.nudge()
	if err := c.save(ctx); err != nil {
		return fmt.Errorf("keep alerts: %w", err)
	}
	return full
}

// put enters an alert for all who are to be told of it; mu is held.
func (c *Courier) put(a Alert, now time.Time) (news bool, full error) {
	told := map[string]bool{}
	for _, r := range c.set.Routes {
		if !covers(r.Matchers, a.Labels) {
			continue
		}
		by := r.By
		if len(by) == 0 {
			by = defaultBy
		}
		for _, name := range r.Receivers {
			if told[name] {
				continue
			}
			told[name] = true
			one, err := c.book.put(name, by, a, c.set.Timing, now)
			news = news || one
			full = cmp.Or(full, err)
		}
	}
	return news, full
}

func (c *Courier) save(ctx context.Context) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	c.mu.Lock()
	data, err := json.Marshal(c.book)
	c.dirty = false
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("write book: %w", err)
	}
	if err := c.keep.Save(context.WithoutCancel(ctx), data); err != nil {
		c.mu.Lock()
		c.dirty = true
		c.mu.Unlock()
		return err
	}
	return nil
}

func (c *Courier) saved(ctx context.Context) {
	if err := c.save(ctx); err != nil {
		c.log.ErrorContext(ctx, "keep what was told", "err", err)
	}
}

func covers(matchers []Matcher, labels map[string]string) bool {
	for _, m := range matchers {
		if !m.matches(labels) {
			return false
		}
	}
	return true
}

// Run delivers until ctx ends, and returns when no delivery is under way any more.
func (c *Courier) Run(ctx context.Context) error {
	var under sync.WaitGroup
	defer under.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.wake:
		}
		due := c.due(ctx)
		for key, m := range due {
			under.Go(func() { c.deliver(ctx, key, m) })
		}
		c.mu.Lock()
		wait := time.Hour
		if next, ok := c.next(); ok {
			wait = min(max(time.Until(next), 0), wait)
		}
		c.mu.Unlock()
		timer.Reset(wait)
	}
}

// next is when the first group is due whose receiver is not busy: the end of a
// delivery nudges the loop for the others.
func (c *Courier) next() (time.Time, bool) {
	idle := &Book{Groups: map[string]*Group{}}
	for key, g := range c.book.Groups {
		if !c.busy[g.Receiver] {
			idle.Groups[key] = g
		}
	}
	return idle.Next()
}

// due takes what is to be sent now and marks its receivers.
func (c *Courier) due(ctx context.Context) map[string]Message {
	out := c.take()
	if len(out) > 0 {
		c.saved(ctx)
	}
	return out
}

func (c *Courier) take() map[string]Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.book.Due(time.Now(), c.set.Timing, c.set.Silences, func(name string) bool { return c.busy[name] })
	for key, m := range out {
		m.Base = c.set.Base
		out[key] = m
		c.busy[m.Receiver] = true
	}
	return out
}

func (c *Courier) deliver(ctx context.Context, key string, m Message) {
	c.mu.Lock()
	to, ok := c.set.Receivers[m.Receiver]
	try := 1
	if g := c.book.Groups[key]; g != nil {
		try = g.Tries + 1
	}
	c.mu.Unlock()
	begun := time.Now()
	err := Permanent(fmt.Errorf("there is no receiver %q", m.Receiver))
	if ok {
		err = to.Send(ctx, m)
	}

	c.mu.Lock()
	delete(c.busy, m.Receiver)
	if ctx.Err() != nil && err != nil { // we stop: whoever comes next tries again at once
		c.mu.Unlock()
		return
	}
	if err == nil {
		c.book.Sent(key, m, c.set.Timing, time.Now())
	} else {
		c.book.Failed(key, m, err, c.set.Timing, time.Now(), rand.Float64)
	}
	c.mu.Unlock()
	c.saved(ctx)

	d := Delivery{At: begun, Receiver: m.Receiver, Message: m.ID, Title: m.Title(), Alerts: len(m.Alerts), Try: try, Took: time.Since(begun)}
	if err != nil {
		d.Error, d.Final = err.Error(), IsPermanent(err)
		c.log.WarnContext(ctx, "tell of alerts", "receiver", m.Receiver, "try", try, "err", err)
	}
	if err := c.keep.Delivered(context.WithoutCancel(ctx), d); err != nil {
		c.log.ErrorContext(ctx, "keep delivery", "err", err)
	}
	c.nudge()
}
