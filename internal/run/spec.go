package run

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/fault"
	"naru/internal/release"
	"naru/internal/secret"
)

// Spec is everything a driver must know to start one instance.
type Spec struct {
	ID      InstanceID
	Group   GroupID
	App     app.ID
	AppName string // the slug; names the instance to its own processes and in the log
	Space   app.SpaceID
	Release release.ID
	Process string // process type
	Index   int    // 0 and up, unique in the group among those that run

	Image   Image
	Command []string // argv; empty: the image's own entrypoint and command
	Env     Env      // complete but for what naru sets itself: PORT, HOME, NARU_*
	Port    int      // what it must listen on; 0: none. A driver may choose another one: see Status.Addr

	Limits    Limits
	AllowRoot bool // an image without a numeric user may run as root with few capabilities

	Task bool // a one-off command: no address is promised, nothing restarts it
	IO   *IO  // for a task: its input and output instead of the log; lives as long as the caller's process
}

// Check refuses a spec that no driver can start.
func (s Spec) Check() error {
	switch {
	case !validID(string(s.ID)):
		return fault.New(fault.Invalid, "id", "%q is not an instance id: letters, digits and - only, at most 64", s.ID)
	case !validID(string(s.Group)) && !(s.Task && s.Group == ""):
		return fault.New(fault.Invalid, "group", "%q is not a group id: letters, digits and - only, at most 64", s.Group)
	case s.Space == "":
		return fault.New(fault.Invalid, "space", "an instance needs a space")
	case s.Image.Ref.IsZero():
		return fault.New(fault.Invalid, "image", "an instance needs an image")
	case s.Port < 0 || s.Port > 65535:
		return fault.New(fault.Invalid, "port", "%d is not a port", s.Port)
	case s.Index < 0:
		return fault.New(fault.Invalid, "index", "an index starts at 0 (got %d)", s.Index)
	case s.IO != nil && !s.Task:
		return fault.New(fault.Invalid, "io", "only a task can be attached to")
	}
	for name := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fault.New(fault.Invalid, "env", "%q is not the name of an environment variable", name)
		}
	}
	return s.Limits.check()
}

// validID keeps ids usable as file, cgroup and container names.
func validID(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}

// Image is an image and where it is fetched.
type Image struct {
	Ref  artifact.Ref
	Host string // registry "host:port"; loopback is spoken to without TLS

	// Credentials is asked when something is fetched; nil means anonymous.
	Credentials func(ctx context.Context) (Credentials, error)
}

// Credentials open a registry: basic authentication, or for a token where the
// registry asks for one.
type Credentials struct {
	User     string
	Password secret.Secret
}

// Env is an environment. Secrets are resolved in it, so it prints only names.
type Env map[string]secret.Secret

// PlainEnv makes an Env of values.
func PlainEnv(values map[string]string) Env {
	env := Env{}
	for name, value := range values {
		env[name] = secret.New(value)
	}
	return env
}

// With returns a copy with more values set.
func (e Env) With(values map[string]string) Env {
	out := maps.Clone(e)
	if out == nil {
		out = Env{}
	}
	for name, value := range values {
		out[name] = secret.New(value)
	}
	return out
}

// Reveal returns NAME=value lines, sorted. They are secrets.
func (e Env) Reveal() []string {
	lines := make([]string, 0, len(e))
	for _, name := range slices.Sorted(maps.Keys(e)) {
		lines = append(lines, name+"="+e[name].Reveal())
	}
	return lines
}

// Limits bound an instance. Zero means unlimited.
type Limits struct {
	MemoryMiB int // above it the kernel kills
	CPUMilli  int // thousandths of a core
	PIDs      int // processes and threads
	DiskMiB   int // written by the instance; measured, above it the instance is stopped

	LogBytesPerSecond int // of output kept, in the long run; more is dropped and counted
	LogLineBytes      int // of the longest line kept in one piece; 0: 16 KiB
	LogSpoolMiB       int // output kept until it was read; the oldest is dropped and counted. 0: DefaultLogSpoolMiB
}

// DefaultLogSpoolMiB holds more than a minute of an app that logs 1 MB/s, for
// the time the control plane is away.
const DefaultLogSpoolMiB = 128

func (l Limits) check() error {
	for _, v := range []struct {
		field string
		value int
		least int
	}{
		{"memory", l.MemoryMiB, 4}, {"cpu", l.CPUMilli, 10}, {"pids", l.PIDs, 2}, {"disk", l.DiskMiB, 1},
		{"log_rate", l.LogBytesPerSecond, 1024}, {"log_spool", l.LogSpoolMiB, 1}, {"log_line", l.LogLineBytes, 128},
	} {
		if v.value < 0 || v.value > 0 && v.value < v.least {
			return fault.New(fault.Invalid, "limits."+v.field, "must be at least %d (got %d)", v.least, v.value)
		}
	}
	return nil
}

// LimitsOf takes the limits from a process.
func LimitsOf(p app.Process) Limits {
	return Limits{MemoryMiB: p.MemoryMiB, CPUMilli: p.CPUMilli, PIDs: p.PIDs, DiskMiB: p.DiskMiB}
}

// Size is a terminal's.
type Size struct{ Columns, Rows uint16 }

// IO connects a command to its caller. Nil readers are empty, nil writers
// discard. With TTY the command has a terminal of its own and Stderr is unused.
type IO struct {
	TTY            bool
	Stdin          io.Reader // its end closes the command's input
	Stdout, Stderr io.Writer
	Resize         <-chan Size // with TTY: the first value should come at once
	Signals        <-chan int  // numbers of signals for the command, of Exec
}

// ExecSpec is a further command inside an instance. It has the instance's user,
// environment and limits.
type ExecSpec struct {
	Argv []string
	Env  Env // over the instance's own
	IO
}

// Phase is what a driver knows of an instance.
type Phase string

// The phases. Unknown means that the technology below cannot tell at the moment;
// it says nothing about the instance.
const (
	Running Phase = "running"
	Exited  Phase = "exited"
	Unknown Phase = "unknown"
)

// Exit is how an instance ended.
type Exit struct {
	Code      int       `json:"code"`             // 128 + signal when a signal ended it; -1 when nobody saw
	Signal    int       `json:"signal,omitempty"` // that ended it, 0: none
	OOM       bool      `json:"oom,omitempty"`    // the kernel killed it for its memory
	Reason    string    `json:"reason"`           // for people: "exit 3", "out of memory at 256 MiB", "disk 1 GiB exceeded"
	LastLines []string  `json:"last_lines,omitempty"`
	At        time.Time `json:"at"`
}

// LastLines is how many lines of output an Exit carries.
const LastLines = 20

// Reason describes the end of a process in words.
func Reason(code, signal int, oom bool, memoryMiB int) string {
	switch {
	case oom && memoryMiB > 0:
		return "out of memory at " + MiB(memoryMiB)
	case oom:
		return "out of memory"
	case signal > 0:
		return fmt.Sprintf("killed by signal %d", signal)
	case code < 0:
		return "ended unseen"
	}
	return fmt.Sprintf("exit %d", code)
}

// DiskReason describes an instance that was stopped for what it wrote.
func DiskReason(diskMiB int) string { return "disk " + MiB(diskMiB) + " exceeded" }

// MiB prints a size as people write it: 64 MiB, 1 GiB.
func MiB(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%d GiB", n/1024)
	}
	return fmt.Sprintf("%d MiB", n)
}
