package notify

import (
	"context"
	"net/http"
	"time"

	"naru/internal/secret"
)

// Webhook posts messages in the form of Alertmanager's webhook, version 4, so that
// what was written for it works.
type Webhook struct {
	client *http.Client
	url    secret.Secret
	token  secret.Secret // of "Authorization: Bearer"; zero: none is sent
}

// NewWebhook makes one.
func NewWebhook(client *http.Client, url, token secret.Secret) *Webhook {
	return &Webhook{client, url, token}
}

type webhookMessage struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            Status            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []webhookAlert    `json:"alerts"`
}

type webhookAlert struct {
	Status       Status            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// MaxAlerts is the most alerts of one message; the rest is counted.
const MaxAlerts = 100

var _ Trier = (*Webhook)(nil)

// Send posts one message.
func (w *Webhook) Send(ctx context.Context, m Message) error {
	_, err := w.Try(ctx, m)
	return err
}

// Try is Send, with what was answered.
func (w *Webhook) Try(ctx context.Context, m Message) (string, error) {
	header := http.Header{}
	if !w.token.IsZero() {
		header.Set("Authorization", "Bearer "+w.token.Reveal())
	}
	header.Set("Idempotency-Key", m.ID)
	return post(ctx, w.client, w.url, webhookOf(m), header, w.token)
}

func webhookOf(m Message) webhookMessage {
	out := webhookMessage{
		Version: "4", GroupKey: fingerprint(m.Group), Status: m.Status(), Receiver: m.Receiver, GroupLabels: filled(m.Group), ExternalURL: m.Base,
		TruncatedAlerts: max(len(m.Alerts)-MaxAlerts, 0), Alerts: []webhookAlert{},
	}
	var labels, annotations []map[string]string
	for _, a := range m.Alerts[:min(len(m.Alerts), MaxAlerts)] {
		said := map[string]string{"summary": a.Summary}
		if a.Detail != "" {
			said["description"] = a.Detail
		}
		labels, annotations = append(labels, a.Labels), append(annotations, said)
		out.Alerts = append(out.Alerts, webhookAlert{
			Status: a.Status(), Labels: filled(a.Labels), Annotations: said, StartsAt: a.Started.UTC(), EndsAt: a.Ended.UTC(), GeneratorURL: a.Link, Fingerprint: a.Fingerprint(),
		})
	}
	out.CommonLabels, out.CommonAnnotations = common(labels), common(annotations)
	return out
}

// filled is never null in JSON.
func filled(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// common is what all maps say alike.
func common(all []map[string]string) map[string]string {
	out := map[string]string{}
	if len(all) == 0 {
		return out
	}
next:
	for k, v := range all[0] {
		for _, m := range all[1:] {
			if got, ok := m[k]; !ok || got != v {
				continue next
			}
		}
		out[k] = v
	}
	return out
}
