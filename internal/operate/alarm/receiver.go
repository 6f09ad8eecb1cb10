package alarm

import (
	"errors"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge/burn"
	"naru/internal/operate/notify"
	"naru/internal/secret"
)

// Place is what receivers and silences are of: a space, an organisation with all of
// its spaces, or, where both are "", the platform.
type Place struct {
	Org   app.OrgID // "" of a space: the space says which
	Space app.SpaceID
}

// Scope names the sort of place: "space", "org" or "platform".
func (p Place) Scope() string {
	switch {
	case p.Space != "":
		return "space"
	case p.Org != "":
		return "org"
	}
	return "platform"
}

// String is the place with its id.
func (p Place) String() string {
	switch {
	case p.Space != "":
		return "space/" + string(p.Space)
	case p.Org != "":
		return "org/" + string(p.Org)
	}
	return "platform"
}

// ReceiverKind is how a receiver is spoken to.
type ReceiverKind string

// The kinds of receivers.
const (
	Webhook   ReceiverKind = "webhook"
	Slack     ReceiverKind = "slack"
	PagerDuty ReceiverKind = "pagerduty"
	Mail      ReceiverKind = "mail"
)

// Receiver is somebody who is told of alerts. It holds no secret: addresses of web
// hooks and keys stay sealed in the store.
type Receiver struct {
	ID         string
	Place      Place
	Name       string // unique in its place
	Kind       ReceiverKind
	Severities []burn.Severity // those it is told of
	Shown      string          // where it leads, without what is secret
	Addresses  []string        // of mail
	By         string
	Created    time.Time
}

// Keys are the secrets of a receiver.
type Keys struct {
	URL   secret.Secret // of web hooks
	Token secret.Secret // of "Authorization: Bearer", or PagerDuty's key
}

// Bounds of receivers.
const (
	MaxAddresses = 50
	maxURL       = 4096
	maxToken     = 8192
)

var receiverName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)

// CheckReceiver refuses a receiver that cannot be told, and fills in where it leads.
// domains are those that mail may go to; none: all.
func CheckReceiver(r Receiver, k Keys, domains []string) (Receiver, error) {
	var errs []error
	bad := func(field, try, format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, field, format, args...).WithTry("%s", try))
	}
	if !receiverName.MatchString(r.Name) {
		bad("name", "team-chat", "%q is no name of a receiver: a-z, 0-9, - and ., at most 63", r.Name)
	}
	if len(r.Severities) == 0 {
		r.Severities = []burn.Severity{burn.Page, burn.Ticket}
	}
	for _, s := range r.Severities {
		if s != burn.Page && s != burn.Ticket {
			bad("severities", "page, ticket", "%q is no severity", s)
		}
	}
	slices.Sort(r.Severities)
	r.Severities = slices.Compact(r.Severities)
	switch r.Kind {
	case Webhook, Slack:
		if len(k.URL.Reveal()) > maxURL {
			bad("url", "a shorter one", "the address has more than %d bytes", maxURL)
		} else if err := notify.CheckURL("url", k.URL); err != nil {
			errs = append(errs, err)
		} else if u, err := url.Parse(k.URL.Reveal()); err == nil {
			r.Shown = u.Host
		}
	case PagerDuty:
		if k.Token.IsZero() {
			bad("token", "--pagerduty KEY", "PagerDuty needs the integration key of a service")
		}
		r.Shown = "PagerDuty"
	case Mail:
		errs = append(errs, checkAddresses(r.Addresses, domains))
		r.Shown = strings.Join(r.Addresses, ", ")
	default:
		bad("kind", "webhook, slack, pagerduty or mail", "%q is no kind of receiver", r.Kind)
	}
	if text := k.Token.Reveal(); len(text) > maxToken || strings.ContainsAny(text, "\r\n\x00") {
		bad("token", "the token alone", "the token is too long, or has more than one line")
	}
	return r, errors.Join(errs...)
}

func checkAddresses(all, domains []string) error {
	if len(all) == 0 || len(all) > MaxAddresses {
		return fault.New(fault.Invalid, "addresses", "mail goes to %d addresses, want 1 to %d", len(all), MaxAddresses).WithTry("--mail team@example.com")
	}
	var errs []error
	for _, text := range all {
		a, err := mail.ParseAddress(text)
		if err != nil || len(text) > 320 || strings.ContainsAny(text, "\r\n") {
			errs = append(errs, fault.New(fault.Invalid, "addresses", "%q is no mail address", text).WithTry("team@example.com"))
			continue
		}
		_, domain, _ := strings.Cut(a.Address, "@")
		if len(domains) > 0 && !slices.ContainsFunc(domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
			errs = append(errs, fault.New(fault.Denied, "addresses", "mail to %s is not sent from here", domain).
				WithTry("an address of %s, or ask for it to be added to mail.to_domains", strings.Join(domains, ", ")))
		}
	}
	return errors.Join(errs...)
}

// Silence is one of a place: it holds back alerts of that place alone.
type Silence struct {
	Place Place
	notify.Silence
}

// Check refuses a silence that has no end, no reason, or matches what no alert has.
func (s Silence) Check() error {
	errs := []error{s.Silence.Check("silence")}
	for _, m := range s.Matchers {
		if m.Label != "" && !slices.Contains(notify.Labels(), m.Label) {
			errs = append(errs, fault.New(fault.Invalid, "silence.matchers", "no alert has a label %q", m.Label).
				WithTry("one of %s", strings.Join(notify.Labels(), ", ")))
		}
	}
	if len(s.Reason) > app.MaxReason {
		errs = append(errs, fault.New(fault.Invalid, "silence.reason", "it has more than %d bytes", app.MaxReason))
	}
	return errors.Join(errs...)
}

// ParseMatcher reads app=shop, severity!=page, objective=~check.* and app!~test-.*.
func ParseMatcher(text string) (notify.Matcher, error) {
	i := strings.IndexAny(text, "=!")
	for _, op := range []string{"=~", "!~", "!=", "="} {
		if i > 0 && strings.HasPrefix(text[i:], op) {
			return notify.Matcher{Label: strings.TrimSpace(text[:i]), Op: op, Value: strings.Trim(strings.TrimSpace(text[i+len(op):]), `"`)}, nil
		}
	}
	return notify.Matcher{}, fault.New(fault.Invalid, "matchers", "%q matches nothing", text).WithTry("app=shop, severity!=page or objective=~check.*")
}

// Delivery is one try to tell somebody.
type Delivery struct {
	Seq   int64
	Place Place
	notify.Delivery
}
