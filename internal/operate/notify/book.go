package notify

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"naru/internal/backoff"
	"naru/internal/fault"
)

// Timing says when a group is told.
type Timing struct {
	Wait     time.Duration // after its first alert, so that what comes together is told together
	Interval time.Duration // between messages with news
	Repeat   time.Duration // between messages without, while something fires
	Retry    backoff.Policy
	Keep     time.Duration // how long the end of an alert is kept for a receiver that does not answer
}

// DefaultTiming tells after 30 s, then every 5 minutes with news and every 4 hours
// without; a receiver that does not answer is asked again after 5 s, and at last
// every 5 minutes.
var DefaultTiming = Timing{
	Wait: 30 * time.Second, Interval: 5 * time.Minute, Repeat: 4 * time.Hour,
	Retry: backoff.Policy{First: 5 * time.Second, Max: 5 * time.Minute, Jitter: 0.2}, Keep: 24 * time.Hour,
}

// Entry is an alert in a group, and what its receiver knows of it.
type Entry struct {
	Alert Alert  `json:"alert"`
	Told  Status `json:"told,omitempty"`  // "": nothing yet
	Tried bool   `json:"tried,omitempty"` // it was in a message that was sent off, whether or not it arrived
}

// Group is alerts that one receiver is told together.
type Group struct {
	Receiver string            `json:"receiver"`
	Labels   map[string]string `json:"labels"`
	Entries  map[string]Entry  `json:"entries"` // by fingerprint
	Due      time.Time         `json:"due"`     // when to tell next
	Last     time.Time         `json:"last,omitzero"`
	Tries    int               `json:"tries,omitempty"` // in a row that failed
	Error    string            `json:"error,omitempty"` // of the latest try
}

// MaxEntries bounds the alerts of a book.
const MaxEntries = 10_000

// Book is all groups: what was told to whom and when to tell what next. It is data,
// can be written down at any time, and knows no clock.
type Book struct {
	Groups map[string]*Group `json:"groups"`
}

// NewBook makes an empty one.
func NewBook() *Book { return &Book{Groups: map[string]*Group{}} }

// ReadBook reads what a Keeper saved; nothing is an empty book.
func ReadBook(data []byte) (*Book, error) {
	b := NewBook()
	if len(data) == 0 {
		return b, nil
	}
	if err := json.Unmarshal(data, b); err != nil {
		return nil, fmt.Errorf("read book of alerts: %w", err)
	}
	if b.Groups == nil {
		b.Groups = map[string]*Group{}
	}
	return b, nil
}

// rebase takes times that are further ahead than any wait back to now: a clock was
// set back while nobody was here.
func (b *Book) rebase(t Timing, now time.Time) {
	longest := max(t.Wait, t.Interval, t.Repeat, t.Retry.Max, time.Hour)
	for _, g := range b.Groups {
		if g.Last.After(now) {
			g.Last = now
		}
		if g.Due.After(now.Add(longest)) {
			g.Due = now
		}
	}
}

// keep forgets the groups of other receivers and reports whether there were any.
func (b *Book) keep(receivers map[string]Sender) (forgot bool) {
	for key, g := range b.Groups {
		if _, ok := receivers[g.Receiver]; !ok {
			delete(b.Groups, key)
			forgot = true
		}
	}
	return forgot
}

// Put takes in that an alert began, changed or ended, for one receiver.
func (b *Book) Put(receiver string, by []string, a Alert, t Timing, now time.Time) error {
	_, err := b.put(receiver, by, a, t, now)
	return err
}

// put is Put; it reports whether there is something new to tell.
func (b *Book) put(receiver string, by []string, a Alert, t Timing, now time.Time) (news bool, err error) {
	labels := map[string]string{}
	for _, name := range by {
		labels[name] = a.Labels[name]
	}
	key := receiver + "/" + fingerprint(labels)
	g := b.Groups[key]
	if g == nil {
		if a.Status() == Resolved {
			return false, nil // nobody was told that it began
		}
		if b.size() >= MaxEntries {
			return false, fault.New(fault.TooLarge, "alerts", "%d alerts are waiting or firing, no more are taken", MaxEntries)
		}
		g = &Group{Receiver: receiver, Labels: labels, Entries: map[string]Entry{}, Due: now.Add(t.Wait)}
		b.Groups[key] = g
	}
	e, had := g.Entries[a.Fingerprint()]
	switch {
	case !had && a.Status() == Resolved:
		return false, nil
	case !had && b.size() >= MaxEntries:
		return false, fault.New(fault.TooLarge, "alerts", "%d alerts are waiting or firing, no more are taken", MaxEntries)
	case had && a.Status() == Resolved && !e.Tried:
		delete(g.Entries, a.Fingerprint())
		if len(g.Entries) == 0 && g.Last.IsZero() {
			delete(b.Groups, key)
		}
		return true, nil
	}
	news = !had || e.Alert.Status() != a.Status()
	e.Alert = a
	g.Entries[a.Fingerprint()] = e
	if news && g.Tries == 0 {
		soon := now.Add(t.Wait)
		if a.Status() == Resolved {
			soon = now
		}
		if next := g.Last.Add(t.Interval); !g.Last.IsZero() && next.After(soon) {
			soon = next
		}
		if soon.Before(g.Due) {
			g.Due = soon
		}
	}
	return news, nil
}

func (b *Book) size() int {
	n := 0
	for _, g := range b.Groups {
		n += len(g.Entries)
	}
	return n
}

// Next is when the next group is due; it reports false for none.
func (b *Book) Next() (time.Time, bool) {
	var next time.Time
	for _, g := range b.Groups {
		if next.IsZero() || g.Due.Before(next) {
			next = g.Due
		}
	}
	return next, len(b.Groups) > 0
}

// Due is the messages to be sent now to receivers that are not busy, by key of their
// group. Silences keep back what fires, never the end of what was told.
func (b *Book) Due(now time.Time, t Timing, silences []Silence, busy func(receiver string) bool) map[string]Message {
	out := map[string]Message{}
	taken := map[string]bool{}
	longest := slices.SortedFunc(maps.Keys(b.Groups), func(x, y string) int { // who waited longest goes first
		return cmp.Or(b.Groups[x].Due.Compare(b.Groups[y].Due), cmp.Compare(x, y))
	})
	for _, key := range longest {
		g := b.Groups[key]
		if g.Due.After(now) || taken[g.Receiver] || busy(g.Receiver) {
			continue
		}
		m := Message{Receiver: g.Receiver, Group: g.Labels}
		news := false
		for print, e := range g.Entries {
			resolved := e.Alert.Status() == Resolved
			switch {
			case resolved && now.Sub(e.Alert.Ended) > t.Keep:
				delete(g.Entries, print)
			case !resolved && slices.ContainsFunc(silences, func(s Silence) bool { return s.Covers(e.Alert.Labels, now) }):
			default:
				m.Alerts = append(m.Alerts, e.Alert)
				news = news || e.Told != e.Alert.Status()
			}
		}
		switch {
		case len(g.Entries) == 0:
			delete(b.Groups, key)
		case len(m.Alerts) == 0:
			g.Due = now.Add(t.Interval)
		case !news && now.Before(g.Last.Add(t.Repeat)): // what would be news is silenced
			g.Due = g.Last.Add(t.Repeat)
			if look := now.Add(t.Interval); look.Before(g.Due) {
				g.Due = look
			}
		default:
			m.Alerts = ordered(m.Alerts)
			m.ID = m.id(g.Last)
			out[key] = m
			taken[g.Receiver] = true
			for _, a := range m.Alerts {
				e := g.Entries[a.Fingerprint()]
				e.Tried = true
				g.Entries[a.Fingerprint()] = e
			}
		}
	}
	return out
}

// id is the same for the same news after the same message.
func (m Message) id(after time.Time) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %d", m.Receiver, fingerprint(m.Group), after.UnixNano())
	for _, a := range m.Alerts {
		fmt.Fprintf(h, " %s %s", a.Fingerprint(), a.Status())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Sent takes in that a message arrived.
func (b *Book) Sent(key string, m Message, t Timing, now time.Time) {
	g := b.Groups[key]
	if g == nil {
		return
	}
	g.Last, g.Tries, g.Error = now, 0, ""
	g.told(m)
	b.later(key, t, now)
}

// told marks what a message said, and forgets ends that were told.
func (g *Group) told(m Message) {
	for _, a := range m.Alerts {
		e, there := g.Entries[a.Fingerprint()]
		switch {
		case !there:
		case a.Status() == Resolved && e.Alert.Status() == Resolved:
			delete(g.Entries, a.Fingerprint())
		default:
			e.Told = a.Status()
			g.Entries[a.Fingerprint()] = e
		}
	}
}

// later says when a group is told again.
func (b *Book) later(key string, t Timing, now time.Time) {
	g := b.Groups[key]
	if len(g.Entries) == 0 {
		delete(b.Groups, key)
		return
	}
	g.Due = now.Add(t.Repeat)
	for _, e := range g.Entries {
		if e.Told != e.Alert.Status() { // it changed while the message was on its way, or was silenced
			g.Due = now.Add(t.Interval)
		}
	}
}

// Failed takes in that a message did not arrive. Where no further try can mend it,
// the next one is when it would be repeated.
func (b *Book) Failed(key string, m Message, err error, t Timing, now time.Time, random func() float64) {
	g := b.Groups[key]
	if g == nil {
		return
	}
	g.Error = err.Error()
	if IsPermanent(err) {
		g.Last, g.Tries = now, 0
		g.told(m)
		b.later(key, t, now)
		return
	}
	g.Due = now.Add(max(t.Retry.Delay(g.Tries, random), asked(err)))
	g.Tries++
}
