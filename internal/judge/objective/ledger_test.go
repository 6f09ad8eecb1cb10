package objective_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/judge/objective"
)

func (f fixed) Over(context.Context, objective.SLI, time.Time, time.Time) (objective.Count, error) {
	return f.c, nil
}

func (f fixed) Each(_ context.Context, _ objective.SLI, from, to time.Time, length time.Duration) ([]objective.Count, error) {
	out := make([]objective.Count, to.Sub(from)/length)
	for i := range out {
		out[i] = f.c
	}
	return out, nil
}

// 99.9 % of 28 d are 40.32 minutes: 10 went for announced maintenance, 5 in a
// rollout, of which 2 were within an incident of 6, and 4 nobody knows why.
func TestLedgerNamesEveryDebit(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-28 * day)
	span := func(after, lasts time.Duration) objective.Span {
		return objective.Span{From: begin.Add(after), To: begin.Add(after + lasts)}
	}
	spells := []spell{
		{day, 10 * time.Minute, 1},
		{2 * day, 9 * time.Minute, 1},
		{3 * day, 4 * time.Minute, 1},
	}
	causes := []objective.Cause{
		{Kind: objective.Rollout, Name: "v42", Span: span(2*day, 5*time.Minute)},
		{Kind: objective.Incident, Name: "INC-7", Span: span(2*day+3*time.Minute, 6*time.Minute)},
		{Kind: objective.Maintenance, Name: "new database", Span: span(day-time.Minute, 12*time.Minute)},
		{Kind: objective.Rollout, Name: "v41", Span: span(5*day, time.Hour)}, // nothing went wrong
		{Kind: objective.Incident, Name: "before the window", Span: span(-day, time.Hour)},
	}
	for name, slice := range map[string]app.Slice{"events": {}, "slices": {Length: app.Duration(time.Minute), Target: 0.9}} {
		t.Run(name, func(t *testing.T) {
			o := app.Objective{Name: "all", Kind: app.Availability, Target: 0.999, Slice: slice}
			tally := objective.NewTally()
			feed{60, spells}.run(t, tally, sli(o, -1), begin, now)
			r := judge(t, tally, o, begin, now, causes...)
			want := []struct {
				kind    objective.CauseKind
				name    string
				minutes float64
			}{
				{objective.Maintenance, "new database", 10},
				{objective.Incident, "INC-7", 6},
				{objective.Rollout, "v42", 3},
				{objective.Rollout, "v41", 0},
				{objective.Unexplained, "", 4},
			}
			if len(r.Ledger) != len(want) {
				t.Fatalf("got %v", r.Ledger)
			}
			for i, w := range want {
				d := r.Ledger[i]
				if d.Kind != w.kind || d.Name != w.name || !near(d.Time.Minutes(), w.minutes, 1e-6) || !near(d.Budget, w.minutes/40.32, 1e-9) {
					t.Errorf("line %d: got %s %s, want %s %s %v min", i, d, d.Time, w.kind, w.name, w.minutes)
				}
			}
			if got, want := r.Ledger[0].String(), "maintenance new database: 24.8 % of the budget (10 min)"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// An incident that a maintenance cuts in two is one line.
func TestACutCauseIsOneLine(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-28 * day)
	o := app.Objective{Name: "cut", Kind: app.Availability, Target: 0.999}
	tally := objective.NewTally()
	feed{60, []spell{{day, 30 * time.Minute, 1}}}.run(t, tally, sli(o, -1), begin, now)
	r := judge(t, tally, o, begin, now,
		objective.Cause{Kind: objective.Incident, Name: "I", Span: objective.Span{From: begin.Add(day), To: begin.Add(day + 30*time.Minute)}},
		objective.Cause{Kind: objective.Maintenance, Name: "M", Span: objective.Span{From: begin.Add(day + 10*time.Minute), To: begin.Add(day + 20*time.Minute)}},
	)
	if len(r.Ledger) != 2 || !near(r.Ledger[0].Time.Minutes(), 10, 1e-6) || !near(r.Ledger[1].Time.Minutes(), 20, 1e-6) || r.Ledger[1].Bad != 1200 {
		t.Errorf("got %v", r.Ledger)
	}
}

// What nothing explains is told apart by what ran meanwhile, and what explains it
// comes first. The lines sum up to what is spent.
func TestTheUnexplainedIsToldApart(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-28 * day)
	o := app.Objective{Name: "all", Kind: app.Availability, Target: 0.999}
	tally := objective.NewTally()
	feed{60, []spell{{day, 10 * time.Minute, 1}, {3 * day, 10 * time.Minute, 1}, {6 * day, 5 * time.Minute, 1}, {8 * day, 5 * time.Minute, 1}}}.run(t, tally, sli(o, -1), begin, now)
	while := func(name string, from, to time.Duration) objective.Cause {
		return objective.Cause{Kind: objective.Unexplained, Name: name, Span: objective.Span{From: begin.Add(from), To: begin.Add(to)}}
	}
	r := judge(t, tally, o, begin, now,
		while("while v1 ran", 2*day, 3*day+3*time.Minute), while("while v2 ran", 3*day+7*time.Minute, 5*day), while("while v3 ran", 5*day, 5*day+time.Hour),
		while("while v2 ran", 5*day+time.Hour, 7*day), // it came back
		objective.Cause{Kind: objective.Rollout, Name: "v2", Span: objective.Span{From: begin.Add(3*day + 2*time.Minute), To: begin.Add(3*day + 7*time.Minute)}},
	)
	var got []string
	sum := 0.0
	for _, d := range r.Ledger {
		got, sum = append(got, d.String()), sum+d.Budget
	}
	want := []string{
		"rollout v2: 12.4 % of the budget (5 min)", "unexplained while v1 ran: 5 % of the budget (2 min)",
		"unexplained while v2 ran: 19.8 % of the budget (8 min)", "unexplained: 37.2 % of the budget (15 min)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !near(sum, 30/40.32, 1e-9) || !near(sum, 1-r.Left, 1e-9) {
		t.Errorf("the lines sum up to %v of the budget, and %v is left", sum, r.Left)
	}
}

// An app that is deployed every few minutes has a ledger all the same.
func TestTooManyCauses(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-28 * day)
	o := app.Objective{Name: "busy", Kind: app.Availability, Target: 0.999}
	tally := objective.NewTally()
	feed{60, []spell{{day, 10 * time.Minute, 1}, {27 * day, 10 * time.Minute, 1}}}.run(t, tally, sli(o, -1), begin, now)
	causes := []objective.Cause{{Kind: objective.Incident, Name: "old", Span: objective.Span{From: begin.Add(day), To: begin.Add(day + 5*time.Minute)}}}
	for i := range 4000 {
		from := begin.Add(time.Duration(i) * 10 * time.Minute)
		causes = append(causes, objective.Cause{Kind: objective.Rollout, Name: "v" + strconv.Itoa(i), Span: objective.Span{From: from, To: from.Add(10 * time.Minute)}})
	}
	r := judge(t, tally, o, begin, now, causes...)
	spent := map[string]float64{}
	for _, d := range r.Ledger {
		if d.Budget > 0 {
			spent[string(d.Kind)+" "+d.Name] = d.Time.Minutes()
		}
	}
	want := map[string]float64{"incident old": 5, "rollout v3888": 10, "unexplained ": 5}
	if len(spent) != len(want) {
		t.Errorf("got %v, want %v", spent, want)
	}
	for name, minutes := range want {
		if !near(spent[name], minutes, 1e-6) {
			t.Errorf("%s spent %v min, want %v", name, spent[name], minutes)
		}
	}
	if len(r.Notes) != 1 || r.Notes[0] != "the ledger names 200 causes; what 3801 earlier ones spent is among the unexplained" {
		t.Errorf("got %q", r.Notes)
	}
}

func TestAnnouncedMaintenanceIsReserved(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-28 * day)
	o := app.Objective{Name: "all", Kind: app.Availability, Target: 0.999}
	tally := objective.NewTally()
	feed{60, []spell{{day, 20 * time.Minute, 1}}}.run(t, tally, sli(o, -1), begin, now)
	ahead := func(in, lasts time.Duration, hit float64) objective.Cause {
		return objective.Cause{Kind: objective.Maintenance, Name: "later", Span: objective.Span{From: now.Add(in), To: now.Add(in + lasts)}, Hit: hit}
	}
	r := judge(t, tally, o, begin, now, ahead(day, 12*time.Minute, 0.5))
	if !near(r.Reserved, 6/40.32, 1e-9) || !near(r.Left, 20.32/40.32, 1e-9) || !near(r.Free(), 14.32/40.32, 1e-9) || len(r.Ahead) != 1 || !near(r.Ahead[0].Time.Minutes(), 6, 1e-6) {
		t.Errorf("reserved %v, left %v, free %v", r.Reserved, r.Left, r.Free())
	}
	if err := r.Announce(ahead(2*day, 14*time.Minute, 1)); err != nil {
		t.Errorf("14 of 14.32 minutes: %v", err)
	}
	err := r.Announce(ahead(2*day, 15*time.Minute, 1))
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "37.2 % of the budget of all (15 min), and 35.5 % is free (14.3 min)") {
		t.Errorf("15 of 14.32 minutes: %v", err)
	}
	for name, c := range map[string]objective.Cause{
		"in the past": ahead(-time.Minute, time.Minute, 1), "backwards": ahead(day, -time.Minute, 1), "everyone twice": ahead(day, time.Minute, 2),
	} {
		if err := r.Announce(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProjectedExhaustion(t *testing.T) {
	now := at(t, "2026-11-21T12:00:00Z")
	begin := now.Add(-28 * day)
	o := app.Objective{Name: "all", Kind: app.Availability, Target: 0.99}
	tally := objective.NewTally()
	// 10 % of failures for the last six hours: burn rate 10. Used: 36 of 403.2
	// minutes, so 0.9107 are left, which last 0.09107 of 28 d.
	feed{60, []spell{{28*day - 6*time.Hour, 6 * time.Hour, 0.1}}}.run(t, tally, sli(o, -1), begin, now)
	r := judge(t, tally, o, begin, now)
	want := 28 * 24 * (1 - 36/403.2) / 10
	if got := r.Exhausted.Sub(now).Hours(); !near(got, want, 1e-6) {
		t.Errorf("spent in %v h, want %v h", got, want)
	}
	o.Window = app.Window{Calendar: app.Month} // 9.5 days are left, 2.4 needed
	if r := judge(t, tally, o, begin, now); r.Exhausted.IsZero() {
		t.Error("it is spent before the month is over")
	}
	o.Window = app.Window{Calendar: app.Day}
	if r := judge(t, tally, o, begin, now); !r.Exhausted.Equal(now) {
		t.Errorf("the day's budget is spent, not at %s", r.Exhausted)
	}
}
