package client

import (
	"context"
	"net/url"
	"time"
)

// Delivered is how often and how well something is delivered, as DORA reckons it.
type Delivered struct {
	Of     string    `json:"of" doc:"APP, ORG/SPACE or ORG"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Apps   int       `json:"apps" doc:"that were looked at"`
	Weekly []int     `json:"weekly" doc:"deployments that went live, week by week, the latest last"`

	Frequency DoraFrequency `json:"frequency"`
	LeadTime  DoraSpan      `json:"lead_time" doc:"commit to live"`
	LeftOut   int           `json:"left_out,omitempty" doc:"commits with a time after their deployment"`
	Failures  DoraRate      `json:"failures" doc:"deployments that went back, were mended, or caused an incident"`
	Restore   DoraSpan      `json:"restore" doc:"of incidents, whatever caused them"`
	Recovery  DoraSpan      `json:"recovery" doc:"of failed deployments"`
	Rework    DoraRate      `json:"rework" doc:"deployments that were unplanned fixes"`
	Open      int           `json:"open,omitempty" doc:"incidents that go on; they are in no median"`
	Incidents DoraIncidents `json:"incidents"`
}

// DoraFrequency is how often something went live.
type DoraFrequency struct {
	N           int     `json:"n"`
	Weeks       int     `json:"weeks" doc:"whole weeks looked at"`
	DaysPerWeek float64 `json:"days_per_week" doc:"median of the days of a week with a deployment"`
	PerMonth    float64 `json:"per_month" doc:"median of the deployments in 30 days"`
	Band        string  `json:"band,omitempty" enum:"daily,weekly,monthly,yearly"`
}

// DoraSpan is a median with what it is of.
type DoraSpan struct {
	N      int      `json:"n"`
	Median Duration `json:"median,omitempty"`
	P90    Duration `json:"p90,omitempty"`
	Band   string   `json:"band,omitempty" enum:"less than a day,less than a week,less than a month,less than six months,six months or more"`
}

// DoraRate is a share with what it is of.
type DoraRate struct {
	N     int     `json:"n"`
	Of    int     `json:"of"`
	Share float64 `json:"share"`
	Band  string  `json:"band,omitempty" enum:"0-15%,16-45%,46% or more"`
}

// DoraIncidents is what incidents did over the time.
type DoraIncidents struct {
	N            int      `json:"n"`
	Downtime     Duration `json:"downtime" doc:"while at least one was open"`
	Availability float64  `json:"availability" doc:"share of the time without"`
	MTTR         Duration `json:"mttr,omitempty" doc:"mean from begin to restored"`
	MTBF         Duration `json:"mtbf,omitempty" doc:"mean between begins"`
}

func (c *Client) delivered(ctx context.Context, path, since string) (d Delivered, err error) {
	v := url.Values{}
	set(v, "since", since)
	err = c.get(ctx, path+"/dora", v, &d)
	return d, err
}

// Delivered asks how the app is delivered; since is a time such as 90d, "": the
// server's default.
func (a *InApp) Delivered(ctx context.Context, since string) (Delivered, error) {
	return a.c.delivered(ctx, a.path, since)
}

// Delivered asks how the apps of the space are delivered.
func (s *InSpace) Delivered(ctx context.Context, since string) (Delivered, error) {
	return s.c.delivered(ctx, s.path, since)
}

// OrgDelivered asks how the apps of an organisation are delivered, as far as who
// asks may see its spaces.
func (c *Client) OrgDelivered(ctx context.Context, org, since string) (Delivered, error) {
	return c.delivered(ctx, join("/v1/orgs", org), since)
}
