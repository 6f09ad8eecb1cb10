package client

import (
	"context"
	"time"
)

// Alert is one rule on the error budget of an objective, and its state.
type Alert struct {
	Org       string `json:"org"`
	Space     string `json:"space"`
	App       string `json:"app"`
	Objective string `json:"objective"`
	Rule      string `json:"rule" doc:"page-quick, page-slow, ticket-quick or ticket-slow"`
	Severity  string `json:"severity" enum:"page,ticket"`

	State string    `json:"state" enum:"inactive,pending,firing,resolved"`
	Since time.Time `json:"since,omitzero" doc:"when the state began"`
	Begun time.Time `json:"begun,omitzero" doc:"when the trouble began of which people are told"`
	Text  string    `json:"text,omitempty" doc:"what was seen, with numbers"`
	Means string    `json:"means" doc:"what the state means"`

	Long      Duration `json:"long" doc:"window that says that it matters"`
	Short     Duration `json:"short" doc:"window that says that it is still so"`
	Limit     float64  `json:"limit" doc:"burn rate above which it alarms: 1 spends the budget exactly at the end of the period"`
	BurnLong  *float64 `json:"burn_long,omitempty" doc:"burn rate in the long window; absent where it is not known, or was not looked at because the short one is fine"`
	BurnShort *float64 `json:"burn_short,omitempty" doc:"burn rate in the short window; absent where it is not known"`

	Left     *float64 `json:"left,omitempty" doc:"share of the budget that is left, below 0 where more was spent; absent where nothing fires"`
	Change   string   `json:"change,omitempty" doc:"what changed last before it began"`
	NotFired string   `json:"not_fired,omitempty" doc:"why it does not alarm though both windows are above the limit"`
	Trouble  string   `json:"trouble,omitempty" doc:"why it could not be looked at"`
}

// Alerts are the alerts of some apps.
type Alerts struct {
	Items  []Alert   `json:"items" doc:"what fires first"`
	Looked time.Time `json:"looked,omitzero" doc:"when budgets were looked at; absent before the first time"`
}

// Scope is where receivers and silences are: a space, an organisation with all of
// its spaces (no Space), or the platform (neither).
type Scope struct{ Org, Space string }

func (s Scope) path() string {
	switch {
	case s.Space != "":
		return join("/v1/orgs", s.Org, "spaces", s.Space)
	case s.Org != "":
		return join("/v1/orgs", s.Org)
	}
	return "/v1"
}

// Receiver is told of alerts. What is secret of it is never told.
type Receiver struct {
	Name       string    `json:"name"`
	Scope      string    `json:"scope" enum:"space,org,platform" doc:"whose alerts it is told of"`
	Kind       string    `json:"kind" enum:"webhook,slack,pagerduty,mail"`
	To         string    `json:"to,omitempty" doc:"host or addresses; absent of receivers of another scope"`
	Severities []string  `json:"severities" doc:"those it is told of"`
	By         string    `json:"by,omitempty" doc:"who added it"`
	CreatedAt  time.Time `json:"created_at"`
}

// NewReceiver is a receiver to be added.
type NewReceiver struct {
	Name       string   `json:"name" minLength:"1" maxLength:"63" doc:"a-z, 0-9, - and ."`
	Kind       string   `json:"kind" enum:"webhook,slack,pagerduty,mail"`
	URL        string   `json:"url,omitempty" maxLength:"4096" doc:"of webhook and slack"`
	Token      string   `json:"token,omitempty" maxLength:"8192" doc:"of webhook: sent as Authorization: Bearer; of pagerduty: the integration key"`
	Addresses  []string `json:"addresses,omitempty" maxItems:"50" doc:"of mail"`
	Severities []string `json:"severities,omitempty" maxItems:"2" doc:"page, ticket; absent: both"`
}

// String prints stars.
func (NewReceiver) String() string { return "***" }

// ReceiverTest is what came of a message that was sent for a test.
type ReceiverTest struct {
	Took bool     `json:"took" doc:"the receiver took the message"`
	In   Duration `json:"in" doc:"how long that took"`
	Said string   `json:"said" doc:"what the receiver said, or why it cannot be reached"`
}

// Silence keeps people from being told of some alerts for some time.
type Silence struct {
	ID       string    `json:"id"`
	Scope    string    `json:"scope" enum:"space,org,platform" doc:"whose alerts it holds back"`
	Matchers []string  `json:"matchers" doc:"all must match"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
}

// NewSilence is a silence that begins now.
type NewSilence struct {
	Matchers []string `json:"matchers" minItems:"1" maxItems:"20" doc:"app=shop, severity!=page, objective=~check.*, app!~test-.*"`
	For      Duration `json:"for" doc:"how long, at most 31 days"`
	Reason   string   `json:"reason" minLength:"1" maxLength:"500" doc:"what who is on call next has to know"`
}

// Delivery is one try to tell a receiver.
type Delivery struct {
	Seq      int64     `json:"seq"`
	Time     time.Time `json:"time"`
	Receiver string    `json:"receiver"`
	Message  string    `json:"message" doc:"the same each time that the same is tried"`
	Title    string    `json:"title"`
	Alerts   int       `json:"alerts"`
	Try      int       `json:"try" doc:"counted from 1"`
	Took     Duration  `json:"took"`
	Error    string    `json:"error,omitempty" doc:"absent: it arrived"`
	Final    bool      `json:"final,omitempty" doc:"no further try can mend it"`
}

// Alerts returns the alerts of the space's apps, of one app where it is named.
func (s *InSpace) Alerts(ctx context.Context, app string) (a Alerts, err error) {
	path := s.path + "/alerts"
	if app != "" {
		path = join(s.path+"/apps", app, "alerts")
	}
	err = s.c.get(ctx, path, nil, &a)
	return a, err
}

// AllAlerts returns the alerts of all apps of the platform.
func (c *Client) AllAlerts(ctx context.Context) (a Alerts, err error) {
	err = c.get(ctx, "/v1/alerts", nil, &a)
	return a, err
}

// Receivers lists who is told of alerts in a scope, also those of wider ones.
func (c *Client) Receivers(ctx context.Context, at Scope) ([]Receiver, error) {
	l, err := list[Receiver](ctx, c, at.path()+"/receivers", nil)
	return l.Items, err
}

// AddReceiver adds a receiver, which is told from now on.
func (c *Client) AddReceiver(ctx context.Context, at Scope, in NewReceiver) (r Receiver, err error) {
	err = c.post(ctx, at.path()+"/receivers", in, &r)
	return r, err
}

// DeleteReceiver forgets a receiver of a scope.
func (c *Client) DeleteReceiver(ctx context.Context, at Scope, name string) error {
	return c.remove(ctx, join(at.path()+"/receivers", name), nil)
}

// TestReceiver sends a test message to a receiver of a scope.
func (c *Client) TestReceiver(ctx context.Context, at Scope, name string) (t ReceiverTest, err error) {
	err = c.post(ctx, join(at.path()+"/receivers", name, "test"), nil, &t)
	return t, err
}

// Silences lists the silences of a scope that are not over, also those of wider
// ones.
func (c *Client) Silences(ctx context.Context, at Scope) ([]Silence, error) {
	l, err := list[Silence](ctx, c, at.path()+"/silences", nil)
	return l.Items, err
}

// AddSilence holds back alerts of a scope from now on.
func (c *Client) AddSilence(ctx context.Context, at Scope, in NewSilence) (x Silence, err error) {
	err = c.post(ctx, at.path()+"/silences", in, &x)
	return x, err
}

// EndSilence ends a silence of a scope.
func (c *Client) EndSilence(ctx context.Context, at Scope, id string) error {
	return c.remove(ctx, join(at.path()+"/silences", id), nil)
}

// Deliveries lists what receivers of a scope were told, newest first.
func (c *Client) Deliveries(ctx context.Context, at Scope, p Page) (List[Delivery], error) {
	return list[Delivery](ctx, c, at.path()+"/deliveries", p.query())
}
