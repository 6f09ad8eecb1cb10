package client

import (
	"context"
	"net/url"
	"time"
)

// The states of a drain.
const (
	DrainFlowing = "flowing" // the receiver has all lines
	DrainBehind  = "behind"  // lines wait for it
	DrainFailing = "failing" // nothing gets through; Error says why
)

// Drain passes an app's log, or the logs of a space's apps, on to a receiver.
type Drain struct {
	Name      string    `json:"name"`
	URL       string    `json:"url" doc:"the receiver; what is secret in it is stars"`
	App       string    `json:"app,omitempty" doc:"whose log it passes on; absent: those of all apps of the space"`
	Headers   []string  `json:"headers,omitempty" doc:"names of the header fields that go with the lines; their values are never told"`
	Search    string    `json:"search,omitempty" doc:"only lines that hold this"`
	CA        bool      `json:"ca" doc:"it has an authority of its own that vouches for the receiver"`
	State     string    `json:"state" enum:"flowing,behind,failing"`
	Sent      int64     `json:"sent" doc:"lines that the receiver took"`
	Dropped   int64     `json:"dropped" doc:"lines that were left out: refused for good, or gone from the log before the receiver took them"`
	Behind    int64     `json:"behind" doc:"lines that wait"`
	Oldest    time.Time `json:"oldest,omitzero" doc:"time of the oldest line that waits"`
	Failing   time.Time `json:"failing,omitzero" doc:"since when nothing gets through"`
	Error     string    `json:"error,omitempty" doc:"why, or what was refused last"`
	By        string    `json:"by" doc:"who added it"`
	CreatedAt time.Time `json:"created_at"`
}

// NewDrain is a drain to be added.
type NewDrain struct {
	Name    string            `json:"name" minLength:"1" maxLength:"255" doc:"name, unique in the space"`
	URL     string            `json:"url" minLength:"1" maxLength:"4096" doc:"syslog://HOST[:PORT], syslog-tls://HOST[:PORT], otlp+http://HOST[:PORT][/PATH] or otlp+https://…"`
	App     string            `json:"app,omitempty" maxLength:"255" doc:"whose log; absent: those of all apps of the space, also of apps made later"`
	Headers map[string]string `json:"headers,omitempty" doc:"header fields for an OTLP receiver, as an API key"`
	Search  string            `json:"search,omitempty" maxLength:"4096" doc:"only lines that hold this, in the language of the log's search"`
	CA      string            `json:"ca,omitempty" maxLength:"131072" doc:"PEM: certificates of the authority that vouches for the receiver; absent: those that naru believes"`
}

// String prints stars.
func (NewDrain) String() string { return "***" }

// DrainTest is what came of a line that was sent for a test.
type DrainTest struct {
	Took bool     `json:"took" doc:"the receiver took the line"`
	In   Duration `json:"in" doc:"how long that took"`
	Said string   `json:"said" doc:"what the receiver says, or why it cannot be reached"`
}

// Drains lists the drains of the space by name; of an app ("": all), those that
// pass its log on.
func (s *InSpace) Drains(ctx context.Context, app string) ([]Drain, error) {
	q := url.Values{}
	set(q, "app", app)
	l, err := list[Drain](ctx, s.c, s.path+"/drains", q)
	return l.Items, err
}

// AddDrain adds a drain, which begins with the next line.
func (s *InSpace) AddDrain(ctx context.Context, in NewDrain) (d Drain, err error) {
	err = s.c.post(ctx, s.path+"/drains", in, &d)
	return d, err
}

// DeleteDrain forgets a drain.
func (s *InSpace) DeleteDrain(ctx context.Context, name string) error {
	return s.c.remove(ctx, join(s.path+"/drains", name), nil)
}

// TestDrain sends one line to the receiver of a drain.
func (s *InSpace) TestDrain(ctx context.Context, name string) (t DrainTest, err error) {
	err = s.c.post(ctx, join(s.path+"/drains", name, "test"), nil, &t)
	return t, err
}
