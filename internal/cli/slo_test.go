package cli

import (
	"strings"
	"testing"
	"time"

	"naru/internal/client"
	"naru/internal/fault"
)

func reported() client.ObjectiveReport {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	return client.ObjectiveReport{
		App: "shop", Text: "99.95 % of GET /profile/{users} do not fail, over 28d", Now: now, Origin: "manifest",
		Objective: client.Objective{Name: "profile", Kind: "availability", Target: 0.9995},
		Known:     true, Met: true, Measured: 1 - 1000.0/4_032_000, Target: 0.9995, Good: 4_031_000, Total: 4_032_000,
		Budget: 20.16 * 60, Used: 1000.0 / 2016, Left: 1016.0 / 2016, LeftSeconds: 10.16 * 60, Exhausted: now.Add(90 * time.Hour),
		Burns: []client.Burn{{Window: client.Duration(5 * time.Minute), Rate: 14.4, Known: true}, {Window: client.Duration(time.Hour), Rate: 0.5, Known: true}, {Window: client.Duration(6 * time.Hour)}},
		Ledger: []client.Debit{
			{Kind: "rollout", Name: "v42", Bad: 400, Budget: 400.0 / 2016, Seconds: 240},
			{Kind: "unexplained", Bad: 600, Budget: 600.0 / 2016, Seconds: 360},
		},
		Notes: []string{"counting began 3d ago: the figures are of 3d out of 28d"},
	}
}

func TestSLOPage(t *testing.T) {
	s := &Screen{}
	r := reported()
	page := s.sloPage("shop", []client.ObjectiveReport{r}, false)
	for _, want := range []string{
		"shop  1 objective, met\n",
		"profile  99.95 % of GET /profile/{users} do not fail, over 28d\n",
		"  measured  99.975 %   4,031,000 of 4,032,000 requests\n",
		"  budget    ██████████░░░░░░░░░░ 50.4 % left: 10.2 min of 20.2 min\n",
		"  burn rate 5m 14  1h 0.5  6h ?\n",
		", in 3 days, at the rate of the last 6 hours\n",
		"  spent     unexplained 29.8 %, rollout v42 19.8 %\n",
		"  note      counting began 3d ago",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	page = s.sloPage("shop", []client.ObjectiveReport{r}, true)
	for _, want := range []string{"CAUSE", "rollout v42", "400  19.8 %  4 min", "unexplained", "600  29.8 %  6 min"} {
		if !strings.Contains(page, want) {
			t.Errorf("the ledger lacks %q:\n%s", want, page)
		}
	}

	spent := r
	spent.Met, spent.Left, spent.LeftSeconds, spent.Measured = false, -0.5, -604.8, 0.9992
	silent := r
	silent.Known, silent.Met, silent.Left = false, false, 1
	silent.Objective.Name = "sil\x1b[2Jent\x07"
	page = s.sloPage("shop", []client.ObjectiveReport{spent, silent}, false)
	for _, want := range []string{
		"2 objectives, 1 not met, of 1 nothing is known", "░░░░░░░░░░░░░░░░░░░░ -50 % left: -10.1 min of 20.2 min", "now: there is nothing left",
		"nothing is known\n", "20.2 min, of which nothing is known to be spent",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	silent.Ledger, spent.Ledger = nil, nil
	for want, one := range map[string]client.ObjectiveReport{"  ledger    nothing is known": silent, "  ledger    nothing was spent": spent} {
		if page := s.sloPage("shop", []client.ObjectiveReport{one}, true); !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	c := (&cmd{screen: s}).slo()
	c.SetArgs([]string{"--ledger"})
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.Execute(); fault.Of(err).Field != "--ledger" || fault.Of(err).Try == "" {
		t.Errorf("a ledger of no app: %v, want it refused with a way out", err)
	}
	table := s.sloTable([]client.ObjectiveReport{r, silent})
	if strings.Contains(page+table, "\x1b") {
		t.Error("an escape of an objective's name came through")
	}
	for _, want := range []string{"APP   OBJECTIVE", "99.975 %  █████░░░░░  50.4 %  10.2 min  0.5", "unknown"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	for _, none := range []string{s.sloPage("shop", nil, false), s.sloTable(nil)} {
		if !strings.Contains(none, "naru slo apply -f FILE") {
			t.Errorf("without objectives: %s", none)
		}
	}
}

func TestTimesToCome(t *testing.T) {
	after := time.Date(2026, 11, 21, 12, 30, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"2h":                        after.Add(2 * time.Hour),
		"+90m":                      after.Add(90 * time.Minute),
		"22:00":                     time.Date(2026, 11, 21, 22, 0, 0, 0, time.Local),
		"12:00":                     time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local),
		"2026-12-24T22:00":          time.Date(2026, 12, 24, 22, 0, 0, 0, time.Local),
		"2026-12-24 22:00":          time.Date(2026, 12, 24, 22, 0, 0, 0, time.Local),
		"2026-12-24T22:00:00+01:00": time.Date(2026, 12, 24, 21, 0, 0, 0, time.UTC),
	} {
		if got, err := coming("--from", text, after); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "-2h", "25:00"} {
		if got, err := coming("--from", text, after); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
