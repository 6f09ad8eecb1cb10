// Package notify tells people of alerts: grouped, unless silenced, again and again
// until the receiver took it.
package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Status is whether an alert, or a group of them, still fires.
type Status string

// The statuses, in Alertmanager's words.
const (
	Firing   Status = "firing"
	Resolved Status = "resolved"
)

// Label names that alerts of ours have.
const (
	LabelName      = "alertname"
	LabelSeverity  = "severity" // page, ticket
	LabelOrg       = "org"
	LabelSpace     = "space"
	LabelApp       = "app"
	LabelObjective = "objective"
)

// Labels are the names of all labels that alerts of ours have.
func Labels() []string {
	return []string{LabelName, LabelSeverity, LabelOrg, LabelSpace, LabelApp, LabelObjective}
}

// Alert is one thing to tell. Alerts with the same labels are the same alert.
type Alert struct {
	Labels  map[string]string
	Summary string // one sentence, with numbers
	Detail  string // more, "" where there is none
	Link    string // where to look, "" where there is no such place
	Started time.Time
	Ended   time.Time // zero while it fires
}

// Status is whether it still fires.
func (a Alert) Status() Status {
	if a.Ended.IsZero() {
		return Firing
	}
	return Resolved
}

// Fingerprint is the same for alerts with the same labels, 16 hexadecimal digits.
func (a Alert) Fingerprint() string { return fingerprint(a.Labels) }

func fingerprint(labels map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(h, "%d:%s%d:%s", len(name), name, len(labels[name]), labels[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Name is what the alert is called.
func (a Alert) Name() string { return a.Labels[LabelName] }

// Message is what one receiver is told at once: the alerts of a group.
type Message struct {
	ID       string            // the same each time it is tried
	Receiver string            // its name
	Group    map[string]string // labels that all have in common by which they were grouped
	Alerts   []Alert           // firing ones first
	Base     string            // address of naru, for links; "" where it is not known
}

// Status is Firing while one of the alerts does.
func (m Message) Status() Status {
	for _, a := range m.Alerts {
		if a.Status() == Firing {
			return Firing
		}
	}
	return Resolved
}

// Firing counts the alerts that fire.
func (m Message) Firing() int {
	n := 0
	for _, a := range m.Alerts {
		if a.Status() == Firing {
			n++
		}
	}
	return n
}

// Severity is the worst of the firing alerts, else of all.
func (m Message) Severity() string {
	severity := ""
	for _, a := range m.Alerts {
		if m.Status() == Resolved || a.Status() == Firing {
			if s := a.Labels[LabelSeverity]; severity == "" || s == "page" {
				severity = s
			}
		}
	}
	return severity
}

// Title is the message in a few words: "[FIRING:2] profile-availability shop".
func (m Message) Title() string {
	status := "[RESOLVED]"
	if n := m.Firing(); n > 0 {
		status = fmt.Sprintf("[FIRING:%d]", n)
	}
	parts := []string{status}
	for _, name := range slices.Sorted(maps.Keys(m.Group)) {
		if v := m.Group[name]; v != "" {
			parts = append(parts, v)
		}
	}
	if len(parts) == 1 && len(m.Alerts) > 0 {
		parts = append(parts, m.Alerts[0].Name())
	}
	return strings.Join(parts, " ")
}

// ordered puts firing alerts first, then by begin and name.
func ordered(alerts []Alert) []Alert {
	slices.SortStableFunc(alerts, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Status(), b.Status()), a.Started.Compare(b.Started), cmp.Compare(a.Fingerprint(), b.Fingerprint()))
	})
	return alerts
}

// Sender delivers to one receiver. Errors that no further try can mend are
// Permanent; all others are tried again.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Trier is a Sender that also tells what the receiver said when it took a message:
// at most a line, never a secret. All senders of this package are.
type Trier interface {
	Sender
	Try(ctx context.Context, m Message) (said string, err error)
}

// permanent is an error that trying again does not mend.
type permanent struct{ err error }

func (p permanent) Error() string { return p.err.Error() }
func (p permanent) Unwrap() error { return p.err }

// Permanent marks an error as one that trying again does not mend.
func Permanent(err error) error { return permanent{err} }

// IsPermanent reports such an error.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

// clip shortens text to so many characters, and takes out what no text has.
func clip(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
