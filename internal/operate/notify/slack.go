package notify

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"naru/internal/secret"
)

// Slack posts messages to an incoming webhook of Slack, or of what took over its
// form (Mattermost, Rocket.Chat).
type Slack struct {
	client *http.Client
	url    secret.Secret
}

// NewSlack makes one.
func NewSlack(client *http.Client, url secret.Secret) *Slack { return &Slack{client, url} }

type slackMessage struct {
	Text        string            `json:"text"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Color      string   `json:"color"`
	Fallback   string   `json:"fallback"`
	Title      string   `json:"title"`
	TitleLink  string   `json:"title_link,omitempty"`
	Text       string   `json:"text"`
	MarkdownIn []string `json:"mrkdwn_in"`
	Timestamp  int64    `json:"ts,omitempty"`
}

// Bounds of what Slack shows.
const (
	slackText   = 2000 // characters of one attachment
	slackAlerts = 10
)

var _ Trier = (*Slack)(nil)

// Send posts one message.
func (s *Slack) Send(ctx context.Context, m Message) error {
	_, err := s.Try(ctx, m)
	return err
}

// Try is Send, with what was answered.
func (s *Slack) Try(ctx context.Context, m Message) (string, error) {
	return post(ctx, s.client, s.url, slackOf(m), nil)
}

func slackOf(m Message) slackMessage {
	out := slackMessage{Text: slackEscape(m.Title(), 300)}
	for i, a := range m.Alerts {
		if i == slackAlerts {
			out.Text += fmt.Sprintf(" (and %d more)", len(m.Alerts)-i)
			break
		}
		color := "danger"
		switch {
		case a.Status() == Resolved:
			color = "good"
		case a.Labels[LabelSeverity] != "page":
			color = "warning"
		}
		text := slackEscape(a.Summary, slackText)
		if a.Detail != "" {
			text += "\n" + slackEscape(a.Detail, slackText)
		}
		if a.Status() == Resolved {
			text += fmt.Sprintf("\nresolved after %s", a.Ended.Sub(a.Started).Round(time.Second))
		}
		title := slackEscape(a.Name(), 200)
		out.Attachments = append(out.Attachments, slackAttachment{
			Color: color, Fallback: text, Title: title, TitleLink: a.Link, Text: text, MarkdownIn: []string{}, Timestamp: a.Started.Unix(),
		})
	}
	return out
}

// slackEscape takes the meaning out of what Slack would read as a link, a mention of
// everybody or formatting: alert texts hold what strangers wrote.
func slackEscape(text string, n int) string {
	text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(clip(text, n))
	// Slack reads @here only in <!here>, which is escaped above; others who took over
	// the form read it bare. A joiner of no width parts it.
	return strings.ReplaceAll(text, "@", "@\u2060")
}
