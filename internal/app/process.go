package app

import (
	"slices"
	"strings"
	"time"

	"naru/internal/fault"
)

// Web is the process type that gets routes unless told otherwise.
const Web = "web"

// ReleaseType is the process type whose command runs once per release, before it
// gets traffic: database migrations. It has no instances.
const ReleaseType = "release"

// Defaults of a process, where neither the build nor the app says otherwise.
const (
	DefaultPort         = 8080
	DefaultMemoryMiB    = 256
	DefaultDiskMiB      = 1024
	DefaultPIDs         = 512
	DefaultCPUMilli     = 1000
	DefaultStartTimeout = 60 * time.Second
	DefaultStopGrace    = 10 * time.Second
)

// Process is one process type of an app: how a copy of it is started, what it
// may use, how its health is seen.
type Process struct {
	Type      string   `json:"type"`              // web, worker, ...: [a-z0-9-]
	Command   []string `json:"command,omitempty"` // argv; empty: the image's own entrypoint and command
	Port      int      `json:"port,omitempty"`    // what it must listen on, also its $PORT; 0: none
	MemoryMiB int      `json:"memory_mib"`        // above it the kernel kills the instance
	DiskMiB   int      `json:"disk_mib"`          // writable space
	CPUMilli  int      `json:"cpu_milli"`         // thousandths of a core
	PIDs      int      `json:"pids"`              // processes and threads
	Health    Health   `json:"health"`            //
	StopGrace Duration `json:"stop_grace"`        // between the stop signal and the kill
	Metrics   Metrics  `json:"metrics,omitzero"`  // what it tells of itself
}

// Metrics says where a process shows metrics in Prometheus's format. The zero
// Metrics shows none.
type Metrics struct {
	Path     string   `json:"path,omitempty"`     // of an HTTP GET
	Port     int      `json:"port,omitempty"`     // 0: the process's own
	Interval Duration `json:"interval,omitempty"` // 0: as the platform measures itself
}

// The bounds of how often metrics are asked for.
const (
	MinMetricsInterval = 5 * time.Second
	MaxMetricsInterval = 5 * time.Minute
)

// Check refuses what cannot be asked. field is what it is called.
func (m Metrics) Check(field string) error {
	switch {
	case m == Metrics{}:
		return nil
	case !strings.HasPrefix(m.Path, "/") || strings.ContainsAny(m.Path, " \r\n\t#"):
		return fault.New(fault.Invalid, field+".path", "%q is no path", m.Path).WithTry("begin it with /")
	case m.Port < 0 || m.Port > 65535:
		return fault.New(fault.Invalid, field+".port", "%d is no port", m.Port)
	case m.Interval != 0 && (m.Interval < Duration(MinMetricsInterval) || m.Interval > Duration(MaxMetricsInterval)):
		return fault.New(fault.Invalid, field+".interval", "metrics are asked for every %s to %s (got %s)", MinMetricsInterval, MaxMetricsInterval, m.Interval)
	}
	return nil
}

// CheckType is how health is seen.
type CheckType string

// The checks: a TCP connect, an HTTP GET that answers 2xx or 3xx, or that the
// process lives.
const (
	CheckPort    CheckType = "port"
	CheckHTTP    CheckType = "http"
	CheckProcess CheckType = "process"
)

// Health says how an instance proves that it works.
type Health struct {
	Check        CheckType `json:"check"`
	Path         string    `json:"path,omitempty"` // for http
	StartTimeout Duration  `json:"start_timeout"`  // from start to the first success
	Interval     Duration  `json:"interval"`       // between checks once healthy
	Timeout      Duration  `json:"timeout"`        // of one check
	Failures     int       `json:"failures"`       // in a row, before a healthy instance counts as unhealthy
}

// Overrides are what an app's draft says about a process type; zero fields leave
// what the build found, or the default.
type Overrides struct {
	Command      string    `json:"command,omitempty"` // run by a shell
	MemoryMiB    int       `json:"memory_mib,omitempty"`
	DiskMiB      int       `json:"disk_mib,omitempty"`
	CPUMilli     int       `json:"cpu_milli,omitempty"`
	Check        CheckType `json:"check,omitempty"`
	Path         string    `json:"path,omitempty"`
	StartTimeout Duration  `json:"start_timeout,omitempty"`
	StopGrace    Duration  `json:"stop_grace,omitempty"`
	Interval     Duration  `json:"interval,omitempty"` // between checks once healthy
	Timeout      Duration  `json:"timeout,omitempty"`  // of one check
	Metrics      Metrics   `json:"metrics,omitzero"`   // as one: none, or all of it
}

// With returns the overrides with those of b that are set laid over them.
func (o Overrides) With(b Overrides) Overrides {
	return Overrides{
		Command: first(b.Command, o.Command), MemoryMiB: first(b.MemoryMiB, o.MemoryMiB), DiskMiB: first(b.DiskMiB, o.DiskMiB),
		CPUMilli: first(b.CPUMilli, o.CPUMilli), Check: first(b.Check, o.Check), Path: first(b.Path, o.Path),
		StartTimeout: first(b.StartTimeout, o.StartTimeout), StopGrace: first(b.StopGrace, o.StopGrace),
		Interval: first(b.Interval, o.Interval), Timeout: first(b.Timeout, o.Timeout), Metrics: first(b.Metrics, o.Metrics),
	}
}

// Resolve fills a process with the overrides and the defaults.
func (p Process) Resolve(o Overrides) Process {
	if o.Command != "" {
		p.Command = Shell(o.Command)
	}
	p.MemoryMiB = first(o.MemoryMiB, p.MemoryMiB, DefaultMemoryMiB)
	p.DiskMiB = first(o.DiskMiB, p.DiskMiB, DefaultDiskMiB)
	p.CPUMilli = first(o.CPUMilli, p.CPUMilli, DefaultCPUMilli)
	p.PIDs = first(p.PIDs, DefaultPIDs)
	p.StopGrace = first(o.StopGrace, p.StopGrace, Duration(DefaultStopGrace))
	if p.Type == Web && p.Port == 0 {
		p.Port = DefaultPort
	}
	h := &p.Health
	h.Path = first(o.Path, h.Path)
	h.Check = first(o.Check, h.Check)
	switch {
	case p.Port == 0:
		h.Check = CheckProcess
	case h.Check == "" && h.Path != "":
		h.Check = CheckHTTP
	case h.Check == "":
		h.Check = CheckPort
	}
	if h.Check == CheckHTTP {
		h.Path = first(h.Path, "/")
	}
	h.StartTimeout = first(o.StartTimeout, h.StartTimeout, Duration(DefaultStartTimeout))
	h.Interval = first(o.Interval, h.Interval, Duration(10*time.Second))
	h.Timeout = first(o.Timeout, h.Timeout, Duration(2*time.Second))
	h.Failures = first(h.Failures, 3)
	p.Metrics = first(o.Metrics, p.Metrics)
	return p
}

// Shell is the argv that runs a command line. A line that is one command is
// exec'd, so that signals reach the command and not the shell; "cd web && node
// x" or "A=1 node x" is left to the shell, which execs the last command itself.
func Shell(command string) []string {
	first, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	if !strings.ContainsAny(command, ";&|<>()`\n{}") && !strings.Contains(first, "=") && !slices.Contains(shellWords, first) {
		command = "exec " + command
	}
	return []string{"/bin/sh", "-c", command}
}

// shellWords begin a line and are no programs.
var shellWords = []string{"!", ".", "cd", "eval", "exec", "exit", "export", "set", "source", "ulimit", "umask", "unset"}

// Types returns the process types in a stable order, web first.
func Types(processes []Process) []string {
	types := make([]string, 0, len(processes))
	for _, p := range processes {
		types = append(types, p.Type)
	}
	slices.SortFunc(types, compareTypes)
	return types
}

func compareTypes(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == Web:
		return -1
	case b == Web:
		return 1
	case a < b:
		return -1
	}
	return 1
}

func first[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}
