// Package service describes what people provide to their apps beside code, as the
// address and password of a database, and the bindings that hand it to them.
package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/secret"
)

// ID of a service.
type ID string

// BindingID is the id of a binding.
type BindingID string

// UserProvided is the kind of all services there are: naru knows how to reach them
// from people, and runs none itself.
const UserProvided = "user-provided"

// Limits of what a service holds.
const (
	MaxCredentials = 64 << 10 // bytes of JSON
	MaxTags        = 2048     // characters of all tags with commas between, as in Cloud Foundry
)

// Service is something that apps of a space use. What is secret in it is its
// Content, which stays sealed.
type Service struct {
	ID       ID
	Space    app.SpaceID
	Name     string // unique in the space
	Tags     []string
	Drain    string // receiver of the logs of bound apps, without what is secret in it; "": none
	RouteURL string // kept for clients that set it; no request is sent there
	By       string
	Created  time.Time
	Updated  time.Time
}

// Content is what of a service only those see who use it.
type Content struct {
	Credentials secret.Secret // a JSON object
	Drain       string        // the receiver of logs as it was given
}

// String prints stars.
func (Content) String() string { return "***" }

// sealed is how a Content looks before it is sealed.
type sealed struct {
	Credentials string `json:"credentials"` // a text, so that it is kept to the letter
	Drain       string `json:"drain,omitempty"`
}

// Text is the form that is sealed.
func (c Content) Text() (secret.Secret, error) {
	text, err := json.Marshal(sealed{c.JSON(), c.Drain})
	if err != nil {
		return secret.Secret{}, fmt.Errorf("write down what a service holds: %w", err)
	}
	return secret.New(string(text)), nil
}

// ParseContent reads what Text wrote.
func ParseContent(text secret.Secret) (Content, error) {
	var s sealed
	if json.Unmarshal([]byte(text.Reveal()), &s) != nil { // its error would quote it
		return Content{}, errors.New("read what a service holds: it is damaged")
	}
	return Content{Credentials: secret.New(s.Credentials), Drain: s.Drain}, nil
}

// JSON are the credentials as a JSON object; none are {}.
func (c Content) JSON() string {
	if c.Credentials.IsZero() {
		return "{}"
	}
	return c.Credentials.Reveal()
}

// Names are those of the credentials, sorted: what may be told of them.
func (c Content) Names() []string {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(c.JSON()), &all) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(all))
}

// Credentials reads what is to be a service's credentials: a JSON object. No error
// quotes it.
func Credentials(text secret.Secret) (secret.Secret, error) {
	if text.IsZero() {
		return secret.New("{}"), nil
	}
	if len(text.Reveal()) > MaxCredentials {
		return text, fault.New(fault.TooLarge, "credentials", "the credentials have %d bytes, and %d are the most", len(text.Reveal()), MaxCredentials)
	}
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(text.Reveal()), &all) != nil || all == nil {
		return text, fault.New(fault.Invalid, "credentials", "the credentials are no JSON object").WithTry(`{"uri": "postgres://user:password@db.example.com/shop"}`)
	}
	if strings.Contains(text.Reveal(), `\u0000`) {
		return text, fault.New(fault.Invalid, "credentials", "a value holds a zero byte, which no environment can")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text.Reveal())); err != nil {
		return text, fault.New(fault.Invalid, "credentials", "the credentials are no JSON object")
	}
	return secret.New(compact.String()), nil
}

// Check refuses a service that cannot be kept.
func (s Service) Check() error {
	if err := app.CheckName("name", s.Name); err != nil {
		return err
	}
	if n := len([]rune(strings.Join(s.Tags, ","))); n > MaxTags {
		return fault.New(fault.Invalid, "tags", "the tags have %d characters together, and %d are the most", n, MaxTags)
	}
	for _, tag := range s.Tags {
		if tag == "" || strings.ContainsFunc(tag, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fault.New(fault.Invalid, "tags", "%q is no tag", tag).WithTry("a word as sql or postgresql")
		}
	}
	if s.RouteURL == "" {
		return nil
	}
	u, err := url.Parse(s.RouteURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fault.New(fault.Invalid, "route_service_url", "a route service is an https:// address without a password in it")
	}
	return nil
}

// Binding hands a service to an app. Instances that start have it in their
// environment.
type Binding struct {
	ID      BindingID
	Service ID
	App     app.ID
	Name    string // by which the app finds the service; "": the service's own name
	By      string
	Created time.Time
}

// CheckBindingName refuses what cannot be the name of a binding.
func CheckBindingName(name string) error {
	if name == "" {
		return nil
	}
	return app.CheckName("binding_name", name)
}

// Bound is a binding with what it hands over.
type Bound struct {
	Binding
	Of      Service
	Content Content
}

// Title is what the app knows the service as.
func (b Bound) Title() string {
	if b.Name != "" {
		return b.Name
	}
	return b.Of.Name
}

// Standing is a binding with the names of both its ends.
type Standing struct {
	Binding
	ServiceName string
	AppName     string
	Space       app.SpaceID
}

// Find narrows a list of bindings; what is empty does not.
type Find struct {
	IDs      []BindingID
	Services []ID
	Apps     []app.ID
	Spaces   []app.SpaceID
}

// NotBound is the answer about a binding that is not there.
func NotBound(appName, serviceName string) error {
	return fault.New(fault.NotFound, "service", "%s is not bound to %s", serviceName, appName).WithTry("naru services")
}
