package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/secret"
)

// ID of a drain.
type ID string

// Declared is a drain that somebody asked for: of one app, or of all apps of a
// space, those that come later too. What leads to its receiver is a Target,
// which stays sealed.
type Declared struct {
	ID      ID
	Space   app.SpaceID
	App     app.ID // "": all of the space
	Name    string // unique in the space
	Shown   string // the receiver's URL without what is secret in it
	Fields  []string
	Search  string // only lines that hold this, as logs/search reads it; "": all
	CA      string // PEM: who vouches for the receiver; "": those that naru believes
	By      string
	Created time.Time
}

// Target is where lines go, with what is secret in it.
type Target struct {
	URL    string            `json:"url"`
	Header map[string]string `json:"header,omitempty"` // fields that OTLP receivers want, as an API key
}

// String prints the receiver without secrets.
func (t Target) String() string { return Shown(t.URL) }

// Text is the form that is sealed.
func (t Target) Text() (secret.Secret, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("write down a drain's receiver: %w", err)
	}
	return secret.New(string(text)), nil
}

// ParseTarget reads what Text wrote.
func ParseTarget(text secret.Secret) (t Target, err error) {
	if json.Unmarshal([]byte(text.Reveal()), &t) != nil { // its error would quote it
		return t, fmt.Errorf("read a drain's receiver: it is damaged")
	}
	return t, nil
}

const (
	maxFields     = 10
	maxFieldBytes = 8 << 10
)

// CheckTarget reads where lines are to go and returns it as it is kept: names of
// fields in their usual form.
func CheckTarget(t Target) (Target, error) {
	u, err := Check(t.URL)
	if err != nil {
		return t, err
	}
	t.URL = u.String()
	if len(t.Header) > 0 && !strings.HasPrefix(u.Scheme, "otlp") {
		return t, fault.New(fault.Invalid, "header", "syslog has no header fields").WithTry("leave --header away, or send to otlp+https://")
	}
	if len(t.Header) > maxFields {
		return t, fault.New(fault.Invalid, "header", "there are %d header fields, and %d is the most", len(t.Header), maxFields)
	}
	kept := make(map[string]string, len(t.Header))
	for name, value := range t.Header {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || len(value) > maxFieldBytes {
			return t, fault.New(fault.Invalid, "header", "the field %q cannot be sent in HTTP", name).WithTry("--header 'X-Api-Key: VALUE'")
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if slices.Contains([]string{"Host", "Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Te", "Trailer", "Upgrade"}, name) {
			return t, fault.New(fault.Invalid, "header", "%s is said by naru itself", name)
		}
		kept[name] = value
	}
	t.Header = kept
	return t, nil
}

// Course is what a drain does for one app.
type Course struct {
	Declared

	Of    app.ID
	From  Source
	State State // its Cursor is zero where nothing was kept yet: from the app's first line on
}

// Kept is a state to be kept.
type Kept struct {
	Drain ID
	App   app.ID
	State State
}

// Store keeps drains; each call is one transaction.
type Store interface {
	// Courses are all drains with each of their apps.
	Courses(ctx context.Context) ([]Course, error)
	// KeepDrained keeps states; those of drains and apps that are gone are passed
	// over.
	KeepDrained(ctx context.Context, states []Kept) error
}
