// Package doctor looks for what keeps a platform from working and says, for
// each thing, the cause and the way out.
package doctor

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"naru/internal/config"
	"naru/internal/store"
)

// Check looks at one thing.
type Check struct {
	Name string
	// Isolation marks what instances in containers need; the rest concerns
	// every platform.
	Isolation bool
	Run       func(ctx context.Context, env Env) Finding
}

// Level is how bad a finding is.
type Level string

// The levels. Warn means that something works less well; Skipped that there
// was nothing to look at.
const (
	OK      Level = "ok"
	Warn    Level = "warn"
	Fail    Level = "fail"
	Skipped Level = "skipped"
)

// Finding is what a check found: one sentence, and for Warn and Fail the
// command or action that leads out.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Cause string `json:"cause"`
	Try   string `json:"try,omitempty"`
}

// Env is the machine as the checks see it. NewEnv gives the real one; tests
// put something broken in one place.
type Env struct {
	Config   config.Config
	UID      int
	Resolver *net.Resolver
	LookPath func(program string) (path string, err error)
	Now      func() time.Time
	// Proc and Sys are where the kernel's files are: /proc and /sys.
	Proc, Sys string
	// Schema returns the version of the store's schema and the one that this
	// program writes; an error where the two cannot work together, or the store
	// cannot be read. It wraps fs.ErrNotExist where there is no store yet.
	Schema func(ctx context.Context) (have, want int, err error)
	// Beside is the folder of this program, where its helpers are looked for.
	Beside string
	// NamesUsed are hosts that naru downloads from.
	NamesUsed []string
}

// NewEnv is the machine that this runs on.
func NewEnv(c config.Config) Env {
	naru, err := os.Executable()
	if err != nil {
		naru = os.Args[0]
	}
	return Env{
		Beside: filepath.Dir(naru),
		Config: c, UID: os.Getuid(), Resolver: net.DefaultResolver, LookPath: exec.LookPath, Now: time.Now,
		Proc: "/proc", Sys: "/sys", NamesUsed: namesUsed(c),
		Schema: func(ctx context.Context) (have, want int, err error) { return store.Inspect(ctx, c.StorePath()) },
	}
}

// checkTimeout bounds one check: a doctor that hangs helps nobody.
const checkTimeout = 10 * time.Second

// Run makes all checks at once; the findings are in the order of the checks.
func Run(ctx context.Context, env Env, checks []Check) []Finding {
	findings := make([]Finding, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() {
			limited, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			findings[i] = c.Run(limited, env)
			findings[i].Check = c.Name
		})
	}
	all.Wait()
	return findings
}

// Isolation picks the checks that containers depend on.
func Isolation(checks []Check) []Check {
	var some []Check
	for _, c := range checks {
		if c.Isolation {
			some = append(some, c)
		}
	}
	return some
}

// Worst is the level of the worst finding.
func Worst(findings []Finding) Level {
	worst := OK
	for _, f := range findings {
		switch {
		case f.Level == Fail:
			return Fail
		case f.Level == Warn:
			worst = Warn
		}
	}
	return worst
}

// Failed picks the findings that failed.
func Failed(findings []Finding) []Finding {
	var some []Finding
	for _, f := range findings {
		if f.Level == Fail {
			some = append(some, f)
		}
	}
	return some
}

// Render writes the findings for people, one line each, and a second one with
// the way out.
func Render(w io.Writer, findings []Finding) error {
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%-7s %-11s %s\n", f.Level, f.Check, f.Cause); err != nil {
			return err
		}
		if f.Try == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-7s %-11s try: %s\n", "", "", f.Try); err != nil {
			return err
		}
	}
	return nil
}

func ok(format string, args ...any) Finding {
	return Finding{Level: OK, Cause: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) Finding {
	return Finding{Level: Skipped, Cause: fmt.Sprintf(format, args...)}
}

func warn(try, format string, args ...any) Finding {
	return Finding{Level: Warn, Cause: fmt.Sprintf(format, args...), Try: try}
}

func fail(try, format string, args ...any) Finding {
	return Finding{Level: Fail, Cause: fmt.Sprintf(format, args...), Try: try}
}
