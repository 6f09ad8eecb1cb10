package client

import (
	"context"
	"net/url"
	"time"
)

// Objective is what an app promises its users: docs/slo.md says what each field
// means.
type Objective struct {
	Name        string    `json:"name" minLength:"1" maxLength:"63"`
	Description string    `json:"description,omitempty" maxLength:"4200"`
	Kind        string    `json:"kind" enum:"availability,latency,throughput,freshness,end_to_end,durability"`
	Target      float64   `json:"target" doc:"share of good events, above 0 and below 1"`
	Window      string    `json:"window,omitempty" maxLength:"200" doc:"28d, month in Europe/Berlin; absent: 28d"`
	Idle        string    `json:"idle,omitempty" enum:"unknown,good,bad" doc:"what time without events is; absent: unknown"`
	Slice       *Slice    `json:"slice,omitempty" doc:"slices of time are judged, not events"`
	Journeys    []Journey `json:"journeys,omitempty" maxItems:"20" doc:"absent: all requests of the app"`
	Bad         []string  `json:"bad,omitempty" maxItems:"100" doc:"statuses that are failures: 5xx, 429, none; absent: 5xx"`
	Excluded    []string  `json:"excluded,omitempty" maxItems:"100" doc:"statuses that do not count"`
	Threshold   Duration  `json:"threshold,omitempty" doc:"of latency"`

	Bound      *Bound `json:"bound,omitempty" doc:"of the query's value, or of requests a second"`
	Query      string `json:"query,omitempty" maxLength:"4096" doc:"PromQL of one value, asked for each slice"`
	GoodQuery  string `json:"good_query,omitempty" maxLength:"4096" doc:"PromQL that counts good events within $window"`
	BadQuery   string `json:"bad_query,omitempty" maxLength:"4096" doc:"the same for bad ones"`
	TotalQuery string `json:"total_query,omitempty" maxLength:"4096" doc:"the same for all"`
	Probe      string `json:"probe,omitempty" maxLength:"63" doc:"name of a probe whose runs are the events"`
}

// Slice judges time instead of events.
type Slice struct {
	Length Duration `json:"length"`
	Target float64  `json:"target,omitempty" doc:"share of good events of a good slice"`
}

// Bound compares a value: what holds is good.
type Bound struct {
	Op    string  `json:"op" enum:"lt,lte,gt,gte"`
	Value float64 `json:"value"`
}

// Journey is what users do: requests of some methods to a pattern of paths.
type Journey struct {
	Methods []string `json:"methods,omitempty" doc:"absent: all"`
	Host    string   `json:"host,omitempty" maxLength:"253" doc:"absent: all of the app's"`
	Path    string   `json:"path" maxLength:"1000" doc:"{x} is one segment, {x...} at the end the rest"`
	Weight  float64  `json:"weight,omitempty" doc:"absent: journeys count by their traffic"`
	Target  float64  `json:"target,omitempty" doc:"absent: the objective's"`
}

// AppProbe is a request that naru makes to an app again and again, by the way that
// users take.
type AppProbe struct {
	Name     string   `json:"name" minLength:"1" maxLength:"63"`
	Method   string   `json:"method,omitempty" enum:"GET,HEAD" doc:"absent: GET"`
	Host     string   `json:"host,omitempty" maxLength:"253" doc:"one of the app's; absent: the first"`
	Path     string   `json:"path" maxLength:"1000"`
	Interval Duration `json:"interval,omitempty" doc:"absent: 1m"`
	Timeout  Duration `json:"timeout,omitempty" doc:"absent: 10s"`
	Good     []string `json:"good,omitempty" maxItems:"100" doc:"statuses that are good; absent: 2xx"`
}

// Promises are what the manifest of a push declares.
type Promises struct {
	Objectives []Objective `json:"objectives" maxItems:"50"`
	Probes     []AppProbe  `json:"probes" maxItems:"10"`
}

// ObjectiveReport says how far an objective is met.
type ObjectiveReport struct {
	App       string    `json:"app"`
	Objective Objective `json:"objective" doc:"with its defaults filled in"`
	Origin    string    `json:"origin" enum:"manifest,applied" doc:"who declared it: the app's manifest, or naru slo apply"`
	Text      string    `json:"text" doc:"the objective in words"`
	Now       time.Time `json:"now"`
	From      time.Time `json:"from" doc:"begin of the period"`
	To        time.Time `json:"to" doc:"end of the period, which may be to come"`
	Observed  Duration  `json:"observed" doc:"how much of it was watched"`

	Known    bool    `json:"known" doc:"false: nothing can be said"`
	Met      bool    `json:"met"`
	Measured float64 `json:"measured" doc:"share of good events, where it is known"`
	Target   float64 `json:"target" doc:"with weights: the mean of the targets of those journeys that are known"`
	Good     float64 `json:"good" doc:"events, or slices"`
	Total    float64 `json:"total"`

	Budget       float64   `json:"budget_seconds" doc:"how long everything may fail in the period"`
	Used         float64   `json:"used" doc:"share of the budget; 1 is all of it"`
	Left         float64   `json:"left" doc:"1 - used; below 0: more than there was"`
	LeftSeconds  float64   `json:"left_seconds"`
	Reserved     float64   `json:"reserved" doc:"share that announced maintenance will take"`
	Exhausted    time.Time `json:"exhausted,omitzero" doc:"when nothing is left at the burn rate of the last 6 hours; absent: not in this period"`
	Burns        []Burn    `json:"burns" doc:"shortest window first"`
	Parts        []Part    `json:"parts,omitempty" doc:"journeys with weights"`
	Ledger       []Debit   `json:"ledger" doc:"who spent it; sums up to used"`
	Ahead        []Debit   `json:"ahead,omitempty" doc:"what is reserved, and for what"`
	Notes        []string  `json:"notes,omitempty" doc:"what one has to know to read the figures"`
	UpdatedAt    time.Time `json:"updated_at" doc:"when it was last changed"`
	CountedSince time.Time `json:"counted_since" doc:"when what it counts was first asked for"`
}

// Burn is how fast a budget went in the time just past.
type Burn struct {
	Window Duration `json:"window"`
	Rate   float64  `json:"rate" doc:"1: spent exactly at the end of the period"`
	Known  bool     `json:"known"`
}

// Part is one journey of an objective with weights.
type Part struct {
	Journey  string  `json:"journey"`
	Weight   float64 `json:"weight"`
	Target   float64 `json:"target"`
	Measured float64 `json:"measured"`
	Known    bool    `json:"known"`
	Good     float64 `json:"good"`
	Total    float64 `json:"total"`
}

// Debit is a line of the ledger.
type Debit struct {
	Kind    string    `json:"kind" enum:"maintenance,incident,rollout,no traffic,unexplained"`
	Name    string    `json:"name,omitempty"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Bad     float64   `json:"bad" doc:"bad events, or slices"`
	Budget  float64   `json:"budget" doc:"share of the whole budget"`
	Seconds float64   `json:"seconds" doc:"the same as time"`
}

// ApplyObjectives adds objectives to those that were applied, or puts them in the
// place of those of the same names.
type ApplyObjectives struct {
	Objectives []Objective `json:"objectives" maxItems:"50"`
	DryRun     bool        `json:"dry_run,omitempty" doc:"change nothing, and say what would change"`
}

// ObjectiveChange is what becomes of an objective.
type ObjectiveChange struct {
	Name   string     `json:"name"`
	Change string     `json:"change" enum:"added,changed,unchanged"`
	Before *Objective `json:"before,omitempty"`
	After  *Objective `json:"after,omitempty"`
}

// ObjectiveChanges are what an apply changed, or would.
type ObjectiveChanges struct {
	Changes []ObjectiveChange `json:"changes"`
}

// KeptObjective is an objective as it is kept.
type KeptObjective struct {
	Objective
	Origin string `json:"origin" enum:"manifest,applied"`
}

// Declared are the objectives and probes of an app.
type Declared struct {
	Objectives []KeptObjective `json:"objectives"`
	Probes     []AppProbe      `json:"probes"`
}

// PlannedMaintenance is a time that was announced.
type PlannedMaintenance struct {
	ID          string    `json:"id"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Reason      string    `json:"reason"`
	Hit         float64   `json:"hit,omitempty" doc:"share of the users that it hits; absent: all"`
	By          string    `json:"by"`
	AnnouncedAt time.Time `json:"announced_at"`
	CancelledAt time.Time `json:"cancelled_at,omitzero"`
	State       string    `json:"state" enum:"announced,going on,over,cancelled"`
}

// NewMaintenance announces maintenance.
type NewMaintenance struct {
	From   time.Time `json:"from,omitzero" doc:"absent: now"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason" minLength:"1" maxLength:"500"`
	Hit    float64   `json:"hit,omitempty" doc:"share of the users that it hits; absent: all"`
}

// Announced is maintenance with what it takes of each objective's budget.
type Announced struct {
	PlannedMaintenance
	Objectives []AnnouncedCost `json:"objectives"`
}

// AnnouncedCost is what announced maintenance takes of a budget, all that is
// announced together.
type AnnouncedCost struct {
	Objective string  `json:"objective"`
	Reserved  float64 `json:"reserved" doc:"share of the budget"`
	Left      float64 `json:"left" doc:"share of the budget that is left now"`
}

// Objectives are the objectives and probes of the app as they are kept.
func (a *InApp) Objectives(ctx context.Context) (d Declared, err error) {
	err = a.c.get(ctx, a.path+"/objectives", nil, &d)
	return d, err
}

// Reports says how far the objectives of the app are met.
func (a *InApp) Reports(ctx context.Context) (l List[ObjectiveReport], err error) {
	err = a.c.get(ctx, a.path+"/slo", nil, &l)
	return l, err
}

// Reports says how far the objectives of all apps of the space are met.
func (s *InSpace) Reports(ctx context.Context) (l List[ObjectiveReport], err error) {
	err = s.c.get(ctx, s.path+"/slo", nil, &l)
	return l, err
}

// ApplyObjectives adds or replaces objectives that are not of the manifest.
func (a *InApp) ApplyObjectives(ctx context.Context, in ApplyObjectives) (c ObjectiveChanges, err error) {
	err = a.c.post(ctx, a.path+"/objectives", in, &c)
	return c, err
}

// DeleteObjective forgets an objective that was applied.
func (a *InApp) DeleteObjective(ctx context.Context, name string) error {
	return a.c.remove(ctx, join(a.path+"/objectives", name), nil)
}

// Maintenance lists what is announced; with past also what is over.
func (a *InApp) Maintenance(ctx context.Context, past bool) (l List[PlannedMaintenance], err error) {
	q := url.Values{}
	if past {
		q.Set("past", "true")
	}
	err = a.c.get(ctx, a.path+"/maintenance", q, &l)
	return l, err
}

// Announce announces maintenance.
func (a *InApp) Announce(ctx context.Context, in NewMaintenance) (out Announced, err error) {
	err = a.c.post(ctx, a.path+"/maintenance", in, &out)
	return out, err
}

// CancelMaintenance calls maintenance off.
func (a *InApp) CancelMaintenance(ctx context.Context, id string) (m PlannedMaintenance, err error) {
	err = a.c.post(ctx, join(a.path+"/maintenance", id)+"/cancel", nil, &m)
	return m, err
}
