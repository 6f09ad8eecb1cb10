package self

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"naru/internal/observe/metrics"
)

// every has one value of each metric.
func every(context.Context) (out []Value, err error) {
	for name, m := range About {
		out = append(out, Value{name, slices.Repeat([]string{"x"}, len(m.Labels)), 7})
	}
	return out, nil
}

func broken(context.Context) ([]Value, error) { return nil, errors.New("out of order") }

func TestWhatIsServedIsWellFormed(t *testing.T) {
	var b strings.Builder
	s := New([]Part{{"broken", broken}, {"every", every}}, slog.New(slog.DiscardHandler))
	if err := s.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`naru_instances{state="x"} 7`, "# TYPE naru_events_total counter", "process_resident_memory_bytes", "go_goroutines"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
	problems, err := promlint.New(strings.NewReader(b.String())).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("linted: %v %v", problems, err)
	}
}

// TestTheDocumentHasThemAll compares the table of docs/metrics.md with About.
func TestTheDocumentHasThemAll(t *testing.T) {
	text, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "## naru itself")
	section, _, _ = strings.Cut(section, "\n## ")
	if !ok {
		t.Fatal("docs/metrics.md has no section about naru itself")
	}
	for name, m := range About {
		line := ""
		for l := range strings.Lines(section) {
			if strings.Contains(l, "`"+name+"`") {
				line = l
			}
		}
		for _, label := range m.Labels {
			if !strings.Contains(line, "`"+label+"`") {
				t.Errorf("the row of %s in docs/metrics.md does not name its label %s: %q", name, label, line)
			}
		}
		if line == "" {
			t.Errorf("docs/metrics.md has no row of %s", name)
		}
	}
	for _, name := range regexp.MustCompile("`(naru_[a-z_]+)`").FindAllStringSubmatch(section, -1) {
		if _, there := About[name[1]]; !there {
			t.Errorf("docs/metrics.md speaks of %s, which nobody measures", name[1])
		}
	}
}

func TestTheyAreKeptAsSeriesOfThePlatform(t *testing.T) {
	store := metrics.New(metrics.Options{Dir: t.TempDir()}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended, kept := make(chan error, 1), make(chan error, 1)
	go func() { ended <- store.Run(ctx) }()
	measured := make(chan struct{})
	s := New([]Part{{"every", func(ctx context.Context) ([]Value, error) {
		select {
		case measured <- struct{}{}:
		case <-ctx.Done():
		}
		return every(ctx)
	}}}, slog.New(slog.DiscardHandler))
	self, end := context.WithCancel(ctx)
	go func() { kept <- s.Run(self, store, time.Millisecond) }()
	for range 3 { // the first round is written when the second begins
		<-measured
	}
	ask := func(r metrics.Reader, query string) string {
		a, err := store.Query(t.Context(), r, metrics.Query{Text: query, To: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		return a.String()
	}
	if got := ask(metrics.Reader{All: true}, `naru_instances{state="x",job="naru"}`); !strings.Contains(got, "=> 7 @") {
		t.Errorf("an administrator sees %q", got)
	}
	if got := ask(metrics.Reader{Spaces: []string{"s"}}, `{job="naru"}`); got != "" {
		t.Errorf("a space sees %q", got)
	}
	if got := ask(metrics.Reader{All: true}, `{__name__=~"go_.*"}`); got != "" {
		t.Errorf("kept: %q", got)
	}
	end()
	if err := <-kept; err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
