package build

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

const procfileName = "Procfile"

var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+)\s*:\s*(\S.*)$`)

// procfile reads the tree's Procfile; none is no error.
func (t *tree) procfile() ([]app.Process, error) {
	if !t.file(procfileName) {
		return nil, nil
	}
	data, err := t.read(procfileName)
	if err != nil {
		return nil, err
	}
	return ParseProcfile(data)
}

// ParseProcfile reads lines of the form "type: command"; empty lines and lines
// that start with # are passed over. Errors name the line.
func ParseProcfile(data []byte) ([]app.Process, error) {
	var out []app.Process
	for i, line := range strings.Split(string(bytes.TrimPrefix(data, []byte("\ufeff"))), "\n") {
		at := fmt.Sprintf("%s:%d", procfileName, i+1)
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := procfileLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fault.New(fault.Invalid, at, "%q is not TYPE: COMMAND", clip(line, 60)).
				WithTry("write lines such as  web: ./server")
		}
		if err := app.CheckProcessType(at, m[1]); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(p app.Process) bool { return p.Type == m[1] }) {
			return nil, fault.New(fault.Invalid, at, "process type %q is there twice", m[1])
		}
		out = append(out, process(m[1], m[2]))
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Invalid, procfileName, "has no line TYPE: COMMAND").
			WithTry("write lines such as  web: ./server, or remove the file")
	}
	return out, nil
}

// process is a process type started by a command line.
func process(kind, command string) app.Process {
	p := app.Process{Type: kind, Command: app.Shell(command)}
	if kind == app.Web {
		p.Port = app.DefaultPort
	}
	return p
}

// overlay lays processes over others: what over says wins, what it leaves out
// stays. Web comes first, then by name.
func overlay(under, over []app.Process) []app.Process {
	out := slices.Clone(under)
	for _, o := range over {
		i := slices.IndexFunc(out, func(p app.Process) bool { return p.Type == o.Type })
		if i < 0 {
			out = append(out, o)
			continue
		}
		out[i] = merge(out[i], o)
	}
	order := app.Types(out)
	slices.SortFunc(out, func(a, b app.Process) int {
		return slices.Index(order, a.Type) - slices.Index(order, b.Type)
	})
	return out
}

func merge(p, over app.Process) app.Process {
	if len(over.Command) > 0 {
		p.Command = over.Command
	}
	p.Port = or(over.Port, p.Port)
	p.MemoryMiB = or(over.MemoryMiB, p.MemoryMiB)
	p.DiskMiB = or(over.DiskMiB, p.DiskMiB)
	p.CPUMilli = or(over.CPUMilli, p.CPUMilli)
	p.PIDs = or(over.PIDs, p.PIDs)
	p.StopGrace = or(over.StopGrace, p.StopGrace)
	p.Health.Check = or(over.Health.Check, p.Health.Check)
	p.Health.Path = or(over.Health.Path, p.Health.Path)
	p.Health.StartTimeout = or(over.Health.StartTimeout, p.Health.StartTimeout)
	p.Health.Interval = or(over.Health.Interval, p.Health.Interval)
	p.Health.Timeout = or(over.Health.Timeout, p.Health.Timeout)
	p.Health.Failures = or(over.Health.Failures, p.Health.Failures)
	return p
}

func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

// procfileBinary takes a tree as it is and starts what its Procfile says.
type procfileBinary struct{}

func (procfileBinary) info() Info {
	return Info{
		Name:  "procfile",
		Looks: procfileName,
		Makes: "the tree as it is, over the minimal base, started as the Procfile says: for programs compiled elsewhere",
	}
}

func (procfileBinary) sees(t *tree) bool { return t.file(procfileName) }

func (b procfileBinary) recipe(t *tree, set settings) (Recipe, error) {
	procs, err := t.procfile()
	if err != nil {
		return Recipe{}, err
	}
	found := "Procfile with " + strings.Join(app.Types(procs), ", ")
	if procs == nil {
		if !set.named || !set.commands {
			return Recipe{}, missing(b.info())
		}
		found = "binary, the tree as it is"
	}
	r := Recipe{
		Builder:     b.info().Name,
		Found:       found,
		Foundations: Names{Run: "base"},
		Layers:      []Layer{wholeTree()},
		Processes:   overlay(nil, procs),
	}
	for _, p := range r.Processes {
		if err := t.checkProgram(p); err != nil {
			return Recipe{}, err
		}
	}
	return r, nil
}

// wholeTree is the application layer of builders that compile nothing.
func wholeTree(exclude ...string) Layer {
	return Layer{Name: "application", From: ".", To: "/app", Exclude: append([]string{".git"}, exclude...)}
}

// missing is the fault for a builder chosen by name in a tree it cannot build.
func missing(info Info) error {
	return fault.New(fault.Invalid, "builder", "builder %s needs %s", info.Name, info.Looks).
		WithTry("leave -b out to let the tree decide, or push another directory")
}

// checkProgram refuses a program of the tree that cannot run here, before a
// build and a start were spent on it.
func (t *tree) checkProgram(p app.Process) error {
	word, _, _ := strings.Cut(commandLine(p.Command), " ")
	if strings.ContainsAny(word, "$`\"'\\=") || strings.HasPrefix(word, "/") || !strings.Contains(word, "/") {
		return nil
	}
	name := path.Clean(word)
	if strings.HasPrefix(name, "../") {
		return nil
	}
	f, err := t.fsys.Open(name)
	if err != nil {
		return fault.New(fault.Invalid, procfileName, "process %s starts %s, which is not in the source", p.Type, word).
			WithTry("check the path; files named by .gitignore or .cfignore are not sent")
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	if reason := foreign(head[:n]); reason != "" {
		return fault.New(fault.Invalid, procfileName, "process %s starts %s, %s", p.Type, word, reason).
			WithTry("compile it for Linux on amd64 (with Go: GOOS=linux GOARCH=amd64 CGO_ENABLED=0)")
	}
	return nil
}

// foreign says why a program of this start cannot run here, "" when it may.
func foreign(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("MZ")):
		return "a Windows program"
	case bytes.HasPrefix(head, []byte{0xcf, 0xfa, 0xed, 0xfe}), bytes.HasPrefix(head, []byte{0xca, 0xfe, 0xba, 0xbe}):
		return "a macOS program"
	case !bytes.HasPrefix(head, []byte(elf.ELFMAG)) || len(head) < 20:
		return ""
	}
	if machine := elf.Machine(uint16(head[18]) | uint16(head[19])<<8); machine != hostMachine {
		return "a program for another processor (" + strings.TrimPrefix(machine.String(), "EM_") + ")"
	}
	return ""
}

// clip shortens a text for a message.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "..."
	}
	return s
}
