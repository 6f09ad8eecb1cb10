package client

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// Service is something that the apps of a space use, as a database, and that
// somebody told naru of. Its credentials are not told with it.
type Service struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Type        string    `json:"type" doc:"user-provided"`
	Tags        []string  `json:"tags"`
	Credentials []string  `json:"credentials" doc:"names of the credentials; their values are never told here"`
	LogDrain    string    `json:"log_drain,omitempty" doc:"where the logs of bound apps go; what is secret in it is stars"`
	RouteURL    string    `json:"route_service_url,omitempty" doc:"kept for clients that set it; no request is sent there"`
	Bound       []Binding `json:"bound" doc:"the apps that have it"`
	By          string    `json:"by" doc:"who made it"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// NewService is a service to be made.
type NewService struct {
	Name        string          `json:"name" minLength:"1" maxLength:"255" doc:"name, unique in the space"`
	Credentials json.RawMessage `json:"credentials,omitempty" doc:"a JSON object, of 64 KiB at most; kept encrypted"`
	Tags        []string        `json:"tags,omitempty" doc:"words by which libraries find out what it is, as postgresql"`
	LogDrain    string          `json:"log_drain,omitempty" maxLength:"4096" doc:"pass the logs of bound apps on to this receiver: syslog://, syslog-tls://, otlp+http:// or otlp+https://"`
}

// String prints stars.
func (NewService) String() string { return "***" }

// ServiceChange changes a service; what is absent stays.
type ServiceChange struct {
	Name        *string         `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Credentials json.RawMessage `json:"credentials,omitempty" doc:"a JSON object in place of the one there is"`
	Tags        *[]string       `json:"tags,omitempty"`
	LogDrain    *string         `json:"log_drain,omitempty" maxLength:"4096" doc:"the receiver of the logs of bound apps; empty: none"`
}

// String prints stars.
func (ServiceChange) String() string { return "***" }

// ServiceCredentials are what a service holds.
type ServiceCredentials struct {
	Credentials json.RawMessage `json:"credentials" doc:"a JSON object"`
}

// String prints stars.
func (ServiceCredentials) String() string { return "***" }

// Binding hands a service to an app.
type Binding struct {
	ID        string    `json:"id"`
	App       string    `json:"app"`
	Service   string    `json:"service"`
	Name      string    `json:"name,omitempty" doc:"by which the app finds the service; absent: the service's own"`
	By        string    `json:"by"`
	CreatedAt time.Time `json:"created_at"`
}

// NewBinding is a binding to be made.
type NewBinding struct {
	Service string `json:"service" minLength:"1" maxLength:"255" doc:"a service of the app's space, by name"`
	Name    string `json:"name,omitempty" maxLength:"255" doc:"by which the app finds the service"`
}

// Variables are environment variables that the platform gives to all apps. What an
// app sets itself comes first.
type Variables struct {
	Group string            `json:"group" doc:"running: of instances; staging: of builds"`
	Env   map[string]string `json:"env"`
}

// VariablesChange changes them.
type VariablesChange struct {
	Set   map[string]string `json:"set,omitempty"`
	Unset []string          `json:"unset,omitempty"`
}

// Services lists the services of the space by name; of an app ("": all), those
// that are bound to it.
func (s *InSpace) Services(ctx context.Context, app string) ([]Service, error) {
	q := url.Values{}
	set(q, "app", app)
	l, err := list[Service](ctx, s.c, s.path+"/services", q)
	return l.Items, err
}

// Service finds a service by name.
func (s *InSpace) Service(ctx context.Context, name string) (out Service, err error) {
	err = s.c.get(ctx, join(s.path+"/services", name), nil, &out)
	return out, err
}

// CreateService makes a service.
func (s *InSpace) CreateService(ctx context.Context, in NewService) (out Service, err error) {
	err = s.c.post(ctx, s.path+"/services", in, &out)
	return out, err
}

// ChangeService changes a service.
func (s *InSpace) ChangeService(ctx context.Context, name string, in ServiceChange) (out Service, err error) {
	err = s.c.patch(ctx, join(s.path+"/services", name), in, &out)
	return out, err
}

// DeleteService forgets a service that is bound to no app.
func (s *InSpace) DeleteService(ctx context.Context, name string) error {
	return s.c.remove(ctx, join(s.path+"/services", name), nil)
}

// ServiceCredentials returns what a service holds, in clear.
func (s *InSpace) ServiceCredentials(ctx context.Context, name string) (out ServiceCredentials, err error) {
	err = s.c.get(ctx, join(s.path+"/services", name, "credentials"), nil, &out)
	return out, err
}

// Bind hands a service to an app, which has it when it next starts.
func (s *InSpace) Bind(ctx context.Context, app string, in NewBinding) (out Binding, err error) {
	err = s.c.post(ctx, join(s.path+"/apps", app, "bindings"), in, &out)
	return out, err
}

// Unbind takes a service from an app.
func (s *InSpace) Unbind(ctx context.Context, app, service string) error {
	return s.c.remove(ctx, join(s.path+"/apps", app, "bindings", service), nil)
}

// Variables returns the variables that the platform gives to all apps: of
// "running" to their instances, of "staging" to their builds.
func (c *Client) Variables(ctx context.Context, group string) (out Variables, err error) {
	err = c.get(ctx, join("/v1/variables", group), nil, &out)
	return out, err
}

// SetVariables changes them.
func (c *Client) SetVariables(ctx context.Context, group string, in VariablesChange) (out Variables, err error) {
	err = c.patch(ctx, join("/v1/variables", group), in, &out)
	return out, err
}
