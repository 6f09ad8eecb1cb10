package client

import (
	"context"
	"net/url"
	"time"
)

// App is an application as lists show it.
type App struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Slug      string            `json:"slug" doc:"the name's form in hosts, images and groups"`
	State     string            `json:"state" enum:"started,stopped" doc:"what people want of it"`
	Health    string            `json:"health" enum:"healthy,degraded,starting,crashed,stopped,empty" doc:"what it is: all instances healthy, some, none yet, none and crashing, stopped, or nothing ever ran"`
	Processes []AppProcess      `json:"processes" doc:"web first"`
	URL       string            `json:"url,omitempty" doc:"the first of its routes"`
	Release   int               `json:"release,omitempty" doc:"number of the current release"`
	Labels    map[string]string `json:"labels,omitempty" doc:"what people wrote on it"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

// AppProcess counts the instances of a process type.
type AppProcess struct {
	Type    string `json:"type" doc:"web, worker, ..."`
	Want    int    `json:"want" doc:"instances wanted; 0 while the app is stopped"`
	Healthy int    `json:"healthy" doc:"instances whose check passes"`
}

// AppDetail is all there is to know about an app.
type AppDetail struct {
	App
	Current  *Release                   `json:"current,omitempty" doc:"the current release"`
	Groups   []Group                    `json:"groups" doc:"server groups that have or want instances"`
	Routes   []Route                    `json:"routes"`
	Settings map[string]ProcessSettings `json:"settings,omitempty" doc:"the draft's processes: what the next release has over what the build found"`
	Scale    map[string]int             `json:"scale,omitempty" doc:"instances wanted, as set"`
	Problem  *Fault                     `json:"problem,omitempty" doc:"why an app on which nothing ever ran does not run: its last operation failed"`
}

// Process is one process type of a release.
type Process struct {
	Type      string   `json:"type"`
	Command   []string `json:"command,omitempty" doc:"argv; absent: the image's own"`
	Port      int      `json:"port,omitempty" doc:"what it must listen on; absent: none"`
	MemoryMiB int      `json:"memory_mib"`
	DiskMiB   int      `json:"disk_mib"`
	CPUMilli  int      `json:"cpu_milli" doc:"thousandths of a core"`
	PIDs      int      `json:"pids" doc:"processes and threads"`
	Check     Check    `json:"check"`
	StopGrace Duration `json:"stop_grace" doc:"between the stop signal and the kill"`
}

// Check is how an instance's health is seen.
type Check struct {
	Type         string   `json:"type" enum:"port,http,process"`
	Path         string   `json:"path,omitempty" doc:"for http"`
	StartTimeout Duration `json:"start_timeout"`
	Interval     Duration `json:"interval"`
	Timeout      Duration `json:"timeout"`
	Failures     int      `json:"failures"`
}

// ProcessSettings are what an app says about a process type; what is absent is
// what the build found, or the default.
type ProcessSettings struct {
	Command      string   `json:"command,omitempty" maxLength:"65536" doc:"run by a shell"`
	MemoryMiB    int      `json:"memory_mib,omitempty" minimum:"4" maximum:"16777216"`
	DiskMiB      int      `json:"disk_mib,omitempty" minimum:"1" maximum:"1073741824"`
	CPUMilli     int      `json:"cpu_milli,omitempty" minimum:"10" maximum:"1024000" doc:"thousandths of a core"`
	Check        string   `json:"check,omitempty" enum:"port,http,process" doc:"how health is seen"`
	Path         string   `json:"path,omitempty" maxLength:"1024" doc:"of an http check"`
	StartTimeout Duration `json:"start_timeout,omitempty" doc:"from start to the first success, such as 60s"`
	StopGrace    Duration `json:"stop_grace,omitempty" doc:"between the stop signal and the kill"`
	Interval     Duration `json:"interval,omitempty" doc:"between checks once healthy, such as 10s"`
	Timeout      Duration `json:"timeout,omitempty" doc:"of one check, such as 2s"`
	Metrics      *Metrics `json:"metrics,omitempty" doc:"where it shows metrics in Prometheus's format"`
}

// Metrics says where a process shows metrics.
type Metrics struct {
	Path     string   `json:"path" pattern:"^/" maxLength:"1024"`
	Port     int      `json:"port,omitempty" minimum:"1" maximum:"65535" doc:"absent: the process's own"`
	Interval Duration `json:"interval,omitempty" doc:"from 5s to 5m; absent: as the platform measures itself"`
}

// Group is a server group: one process type of one release.
type Group struct {
	ID        string     `json:"id"`
	Name      string     `json:"name" doc:"shop-v042, shop--worker-v042"`
	Process   string     `json:"process"`
	Release   int        `json:"release" doc:"number of its release"`
	Want      int        `json:"want" doc:"instances wanted"`
	Traffic   *Traffic   `json:"traffic,omitempty" doc:"in the last minute; absent without a request"`
	Instances []Instance `json:"instances" doc:"by index"`
	CreatedAt time.Time  `json:"created_at"`
}

// Instance is one copy of a process.
type Instance struct {
	ID       string    `json:"id"`
	Index    int       `json:"index"`
	State    string    `json:"state" enum:"pending,starting,healthy,unhealthy,draining,lingering,stopping,stopped,crashed"`
	Since    time.Time `json:"since" doc:"in this state since"`
	Started  time.Time `json:"started,omitzero" doc:"its process runs since"`
	Restarts int       `json:"restarts" doc:"how often this index was restarted"`
	LastExit *Exit     `json:"last_exit,omitempty" doc:"its own end, else that of the one before it"`
}

// Exit is how an instance ended.
type Exit struct {
	Code      int       `json:"code" doc:"128 + signal when a signal ended it, -1 when nobody saw"`
	Signal    int       `json:"signal,omitempty"`
	OOM       bool      `json:"oom,omitempty" doc:"killed for its memory"`
	Reason    string    `json:"reason" doc:"for people: exit 3, out of memory at 256 MiB"`
	LastLines []string  `json:"last_lines,omitempty" doc:"of its output"`
	At        time.Time `json:"at"`
}

// Usage is what an instance uses now.
type Usage struct {
	Instance    string    `json:"instance"`
	Process     string    `json:"process"`
	Index       int       `json:"index"`
	MemoryBytes int64     `json:"memory_bytes"`
	MemoryLimit int64     `json:"memory_limit" doc:"bytes; 0: none"`
	DiskBytes   int64     `json:"disk_bytes"`
	CPUSeconds  float64   `json:"cpu_seconds" doc:"used since its start"`
	PIDs        int       `json:"pids"`
	At          time.Time `json:"at"`
}

// NewApp is an app to be made. A push makes one by itself.
type NewApp struct {
	Name string `json:"name" minLength:"1" maxLength:"255" doc:"app name"`
}

// AppChange changes an app's draft; what is absent stays. Nothing that runs
// changes until the next release.
type AppChange struct {
	Processes map[string]ProcessSettings `json:"processes" doc:"by process type: replaces all settings of the named types"`
}

// Env is an app's environment, as the next release will have it.
type Env struct {
	Env     map[string]string `json:"env" doc:"secret values are ***"`
	Secrets []string          `json:"secrets" doc:"names of the secret ones, sorted"`
}

// EnvChange changes an app's environment.
type EnvChange struct {
	Set     map[string]string `json:"set,omitempty" doc:"plain values"`
	Secret  map[string]string `json:"secret,omitempty" doc:"values that are sealed and never shown again"`
	Unset   []string          `json:"unset,omitempty" doc:"names to remove"`
	Restart bool              `json:"restart,omitempty" doc:"make a release of it at once, where the app runs"`
}

// EnvChanged is the answer to a change: the environment, and the operation that
// brings it to the instances where one was asked for.
type EnvChanged struct {
	Env
	Operation *Operation `json:"operation,omitempty"`
}

// Apps lists the apps of the space, by name.
func (s *InSpace) Apps(ctx context.Context, p Page) (List[App], error) {
	return list[App](ctx, s.c, s.path+"/apps", p.query())
}

// CreateApp makes an app without source.
func (s *InSpace) CreateApp(ctx context.Context, in NewApp) (a AppDetail, err error) {
	err = s.c.post(ctx, s.path+"/apps", in, &a)
	return a, err
}

// InApp is a client that works on one app.
type InApp struct {
	c    *Client
	path string
}

// App returns the client for an app, by name or id.
func (s *InSpace) App(app string) *InApp { return &InApp{s.c, join(s.path+"/apps", app)} }

// Get returns the app.
func (a *InApp) Get(ctx context.Context) (d AppDetail, err error) {
	err = a.c.get(ctx, a.path, nil, &d)
	return d, err
}

// Change changes the app's draft.
func (a *InApp) Change(ctx context.Context, in AppChange) (d AppDetail, err error) {
	err = a.c.patch(ctx, a.path, in, &d)
	return d, err
}

// Delete removes the app and everything of it.
func (a *InApp) Delete(ctx context.Context) (o Operation, err error) {
	err = a.c.remove(ctx, a.path, &o)
	return o, err
}

// Env returns the environment of the app's draft.
func (a *InApp) Env(ctx context.Context) (e Env, err error) {
	err = a.c.get(ctx, a.path+"/env", nil, &e)
	return e, err
}

// ChangeEnv changes the environment.
func (a *InApp) ChangeEnv(ctx context.Context, in EnvChange) (e EnvChanged, err error) {
	err = a.c.patch(ctx, a.path+"/env", in, &e)
	return e, err
}

// Stats tells what the app's instances use now.
func (a *InApp) Stats(ctx context.Context) ([]Usage, error) {
	l, err := list[Usage](ctx, a.c, a.path+"/stats", url.Values{})
	return l.Items, err
}

// Start starts a stopped app.
func (a *InApp) Start(ctx context.Context) (Operation, error) { return a.act(ctx, "start", nil) }

// Stop stops the app; it keeps its releases, routes and settings.
func (a *InApp) Stop(ctx context.Context) (Operation, error) { return a.act(ctx, "stop", nil) }

// Restart makes a release of the app's draft and replaces what runs by it.
func (a *InApp) Restart(ctx context.Context) (Operation, error) { return a.act(ctx, "restart", nil) }

// Scale is the number of instances by process type; types not named stay.
type Scale struct {
	Processes map[string]int `json:"processes" minProperties:"1" doc:"instances by process type"`
}

// Scale changes the number of instances.
func (a *InApp) Scale(ctx context.Context, processes map[string]int) (Operation, error) {
	return a.act(ctx, "scale", Scale{processes})
}

func (a *InApp) act(ctx context.Context, what string, in any) (o Operation, err error) {
	err = a.c.post(ctx, a.path+"/"+what, in, &o)
	return o, err
}

// MetricsOf says where metrics are; nil where the path is empty.
func MetricsOf(path string, port int, interval time.Duration) *Metrics {
	if path == "" {
		return nil
	}
	return &Metrics{Path: path, Port: port, Interval: Duration(interval)}
}
