package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Info says what a server is and where its parts are; it needs no login.
type Info struct {
	Version      string `json:"version" doc:"of naru"`
	API          string `json:"api" doc:"URL of this API, as people reach it"`
	Registry     string `json:"registry" doc:"HOST:PORT of the image registry"`
	Apps         string `json:"apps" doc:"URL at which apps answer, with the apps domain as its host"`
	AppsDomain   string `json:"apps_domain" doc:"an app's default host is NAME.DOMAIN"`
	Driver       string `json:"driver" doc:"what runs instances: containerd or process"`
	Notice       string `json:"notice,omitempty" doc:"what the driver does not do"`
	DefaultOrg   string `json:"default_org" doc:"exists from the first start"`
	DefaultSpace string `json:"default_space" doc:"exists from the first start"`
	Limits       Limits `json:"limits" doc:"what is refused beyond"`
}

// Limits are what a client should know before it sends something.
type Limits struct {
	UploadBytes  int64 `json:"upload_bytes" doc:"largest upload"`
	SourceBytes  int64 `json:"source_bytes" doc:"largest source tree, unpacked"`
	SourceFile   int64 `json:"source_file" doc:"largest file of a source tree"`
	SourceFiles  int   `json:"source_files" doc:"most files in a source tree"`
	RequestBytes int64 `json:"request_bytes" doc:"largest JSON request"`
	MemoryMiB    int   `json:"memory_mib" doc:"most memory of an instance; 0: what the machine has"`
	Instances    int   `json:"instances" doc:"most instances of one process type"`
	PageItems    int   `json:"page_items" doc:"most entries of a page"`
}

// Health is an answer about the server itself.
type Health struct {
	Status string   `json:"status" enum:"ok,starting" doc:"ok, or starting while a part is not ready"`
	Parts  []string `json:"parts,omitempty" doc:"parts that are not ready"`
}

// Finding is one thing that the doctor looked at.
type Finding struct {
	Check   string `json:"check" doc:"what was looked at"`
	Level   string `json:"level" enum:"ok,warning,error" doc:"how bad it is"`
	Message string `json:"message" doc:"what was found"`
	Try     string `json:"try,omitempty" doc:"what mends it"`
}

// Builder is a way to make an image of source.
type Builder struct {
	Name        string   `json:"name" doc:"what --builder takes"`
	Detects     string   `json:"detects" doc:"what it looks for, in words"`
	Foundations []string `json:"foundations,omitempty" doc:"what it builds and runs on unless told otherwise"`
	Uploaded    bool     `json:"uploaded,omitempty" doc:"it is a classic buildpack that somebody uploaded"`
}

// Event is one line of the record of what happened.
type Event struct {
	Seq     int64          `json:"seq" doc:"rises strictly"`
	Time    time.Time      `json:"time"`
	Kind    string         `json:"kind" doc:"what happened, noun first: app.created"`
	Actor   string         `json:"actor" doc:"a user's name, or naru"`
	Space   string         `json:"space,omitempty" doc:"space id; absent for the platform"`
	App     string         `json:"app,omitempty" doc:"app id"`
	Subject string         `json:"subject" doc:"what it happened to, as people name it"`
	Detail  map[string]any `json:"detail,omitempty" doc:"before, after, reasons"`
}

// EventQuery narrows a list of events.
type EventQuery struct {
	Page
	App  string // app id; "": all
	Kind string // kind, or its first part with a dot ("app."); "": all
}

func (q EventQuery) query() url.Values {
	v := q.Page.query()
	set(v, "app", q.App)
	set(v, "kind", q.Kind)
	return v
}

func set(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

// Info asks what the server is.
func (c *Client) Info(ctx context.Context) (i Info, err error) {
	err = c.do(ctx, call{method: http.MethodGet, path: "/v1/info", public: true}, &i)
	return i, err
}

// Ready asks whether every part of the server works. It tries once; a server
// that answers and is not ready is no error.
func (c *Client) Ready(ctx context.Context) (h Health, err error) {
	res, _, err := c.once(ctx, call{method: http.MethodGet, path: "/v1/readyz", public: true}, nil)
	if err != nil {
		return h, err
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		return h, readError(res)
	}
	defer func() { _ = res.Body.Close() }() // the answer was read or is of no use
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&h); err != nil {
		return h, fmt.Errorf("read whether the server is ready: %w", err)
	}
	return h, nil
}

// Doctor asks what is wrong with the platform.
func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	l, err := list[Finding](ctx, c, "/v1/doctor", nil)
	return l.Items, err
}

// Builders lists the builders.
func (c *Client) Builders(ctx context.Context) ([]Builder, error) {
	l, err := list[Builder](ctx, c, "/v1/builders", nil)
	return l.Items, err
}

// RotateKey makes a new key for secrets and seals all of them again.
func (c *Client) RotateKey(ctx context.Context) (o Operation, err error) {
	err = c.post(ctx, "/v1/key/rotate", nil, &o)
	return o, err
}

// CollectGarbage removes images, layers and source that nothing needs.
func (c *Client) CollectGarbage(ctx context.Context) (o Operation, err error) {
	err = c.post(ctx, "/v1/gc", nil, &o)
	return o, err
}

// Backup writes a backup of the platform to w, with the key for secrets only
// where asked.
func (c *Client) Backup(ctx context.Context, w io.Writer, withKey bool) error {
	q := url.Values{}
	if withKey {
		q.Set("key", "true")
	}
	res, err := c.send(ctx, call{method: http.MethodGet, path: "/v1/backup", query: q})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read to its end or of no use
	return copyWhole(w, res)
}

// Events lists what happened on the whole platform, newest first.
func (c *Client) Events(ctx context.Context, q EventQuery) (List[Event], error) {
	return list[Event](ctx, c, "/v1/events", q.query())
}
