package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"naru/internal/secret"
)

// PagerDutyURL is where events of PagerDuty's API v2 are taken.
const PagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// PagerDuty opens and closes incidents by PagerDuty's Events API v2, one for each
// alert.
type PagerDuty struct {
	client *http.Client
	url    secret.Secret
	key    secret.Secret
}

// NewPagerDuty makes one; url "" is PagerDuty's own, key is the integration's.
func NewPagerDuty(client *http.Client, url string, key secret.Secret) *PagerDuty {
	if url == "" {
		url = PagerDutyURL
	}
	return &PagerDuty{client, secret.New(url), key}
}

type pdEvent struct {
	RoutingKey  string     `json:"routing_key"`
	EventAction string     `json:"event_action"` // trigger, resolve
	DedupKey    string     `json:"dedup_key"`
	Client      string     `json:"client,omitempty"`
	ClientURL   string     `json:"client_url,omitempty"`
	Payload     *pdPayload `json:"payload,omitempty"` // of trigger
	Links       []pdLink   `json:"links,omitempty"`
}

type pdPayload struct {
	Summary       string            `json:"summary"` // at most 1024 characters
	Source        string            `json:"source"`
	Severity      string            `json:"severity"` // critical, error, warning, info
	Timestamp     string            `json:"timestamp,omitempty"`
	Component     string            `json:"component,omitempty"`
	Group         string            `json:"group,omitempty"`
	Class         string            `json:"class,omitempty"`
	CustomDetails map[string]string `json:"custom_details,omitempty"`
}

type pdLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

var _ Trier = (*PagerDuty)(nil)

// Send sends an event for each alert. They carry keys, so that sending them all
// again after one of them failed opens nothing twice.
func (p *PagerDuty) Send(ctx context.Context, m Message) error {
	_, err := p.Try(ctx, m)
	return err
}

// Try is Send, with what was answered to the last event.
func (p *PagerDuty) Try(ctx context.Context, m Message) (said string, _ error) {
	var errs []error
	mends := false
	for _, a := range m.Alerts {
		e := pdOf(m, a)
		e.RoutingKey = p.key.Reveal()
		answer, err := post(ctx, p.client, p.url, e, nil, p.key)
		said = answer
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", e.EventAction, a.Name(), err))
			mends = mends || !IsPermanent(err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := errors.Join(errs...); err != nil {
		if mends {
			return "", retried{err}
		}
		return "", Permanent(err)
	}
	return said, nil
}

// retried hides that some of several errors are permanent: the others are not.
type retried struct{ err error }

func (r retried) Error() string { return r.err.Error() }

func pdOf(m Message, a Alert) pdEvent {
	e := pdEvent{EventAction: "trigger", DedupKey: "naru-" + a.Fingerprint(), Client: "naru", ClientURL: m.Base}
	if a.Status() == Resolved {
		e.EventAction = "resolve"
		return e
	}
	severity := "warning"
	if a.Labels[LabelSeverity] == "page" {
		severity = "critical"
	}
	source := a.Labels[LabelApp]
	if source == "" {
		source = "naru"
	}
	details := map[string]string{}
	for k, v := range a.Labels {
		details[clip(k, 100)] = clip(v, 500)
	}
	if a.Detail != "" {
		details["detail"] = clip(a.Detail, 2000)
	}
	e.Payload = &pdPayload{
		Summary: clip(a.Name()+": "+a.Summary, 1024), Source: clip(source, 255), Severity: severity, Timestamp: a.Started.UTC().Format(time.RFC3339),
		Component: clip(a.Labels[LabelApp], 255), Group: clip(a.Labels[LabelSpace], 255), Class: clip(a.Name(), 255), CustomDetails: details,
	}
	if a.Link != "" {
		e.Links = []pdLink{{a.Link, "naru"}}
	}
	return e
}
