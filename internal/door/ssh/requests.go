package ssh

import (
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"naru/internal/app"
	"naru/internal/run"
)

// The most that a client may say about its environment.
const (
	maxEnv      = 64
	maxEnvBytes = 32 << 10
)

// setEnv takes a value for the command; those of naru's own are not the client's
// to set.
func (s *session) setEnv(payload []byte) bool {
	var in struct{ Name, Value string }
	if ssh.Unmarshal(payload, &in) != nil || len(s.env) >= maxEnv || len(in.Name)+len(in.Value) > maxEnvBytes/maxEnv {
		return false
	}
	if app.CheckEnvName("env", in.Name) != nil || strings.ContainsRune(in.Value, 0) {
		return false
	}
	s.env[in.Name] = in.Value
	return true
}

// terminal gives the command one.
func (s *session) terminal(payload []byte) bool {
	var in struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if ssh.Unmarshal(payload, &in) != nil || len(in.Term) > 128 || strings.ContainsAny(in.Term, "\x00\n") {
		return false
	}
	s.tty = true
	if in.Term != "" {
		s.env["TERM"] = in.Term
	}
	s.size(in.Columns, in.Rows)
	return true
}

func (s *session) resize(payload []byte) bool {
	var in struct{ Columns, Rows, Width, Height uint32 }
	if ssh.Unmarshal(payload, &in) != nil {
		return false
	}
	s.size(in.Columns, in.Rows)
	return true
}

// size puts a size in place of one that nobody took.
func (s *session) size(columns, rows uint32) {
	if columns == 0 || rows == 0 || columns > 1<<15 || rows > 1<<15 {
		columns, rows = 80, 24 // the client does not know
	}
	select {
	case <-s.sizes:
	default:
	}
	s.sizes <- run.Size{Columns: uint16(columns), Rows: uint16(rows)} // has room: this is its only sender
}

// signals by the names that the protocol gives them.
var signals = map[string]syscall.Signal{
	"ABRT": syscall.SIGABRT, "ALRM": syscall.SIGALRM, "FPE": syscall.SIGFPE, "HUP": syscall.SIGHUP, "ILL": syscall.SIGILL,
	"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "PIPE": syscall.SIGPIPE, "QUIT": syscall.SIGQUIT, "SEGV": syscall.SIGSEGV,
	"TERM": syscall.SIGTERM,
}

// signal hands one on; one too many is dropped.
func (s *session) signal(payload []byte) bool {
	var in struct{ Name string }
	if ssh.Unmarshal(payload, &in) != nil {
		return false
	}
	n, known := signals[in.Name]
	if !known {
		return false
	}
	select {
	case s.signals <- int(n):
		return true
	default:
		return false
	}
}
