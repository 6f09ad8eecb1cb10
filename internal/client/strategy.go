package client

// Strategy says how what runs is replaced. What is absent is as the app says
// where that is of the same kind, else a default.
type Strategy struct {
	Kind           string    `json:"kind,omitempty" enum:"rolling,bluegreen,canary,rings,highlander,recreate"`
	Steps          []string  `json:"steps,omitempty" maxItems:"100" doc:"canary and rings: shares of traffic before all of it: 10%, 10%/5m (then wait so long), 10%/hold (until resumed), 10%/judge (until a verdict)"`
	MaxInFlight    int       `json:"max_in_flight,omitempty" minimum:"0" doc:"rolling: new instances on their way at once; absent: a quarter"`
	MaxUnavailable int       `json:"max_unavailable,omitempty" minimum:"0" doc:"rolling: instances fewer than wanted that may work meanwhile"`
	Watch          *Duration `json:"watch,omitempty" doc:"how long the old instances stay ready after all traffic moved"`
	Match          string    `json:"match,omitempty" maxLength:"1200" doc:"rings: whose requests come first, header:NAME=VALUE or cookie:NAME=VALUE"`
	Second         string    `json:"second,omitempty" enum:"queue,supersede" doc:"what this push does with a rollout on its way"`
	NoGuard        bool      `json:"no_guard,omitempty" doc:"the gateway does not take traffic away by itself"`
	Alarm          float64   `json:"alarm,omitempty" minimum:"0" maximum:"0.5" doc:"guard: false alarms per rollout at most; absent: 0.01"`
	Tolerate       float64   `json:"tolerate,omitempty" minimum:"1" maximum:"1000" doc:"guard: times as many failed or slow requests as before that are no reason; absent: 1.5"`
	Slow           float64   `json:"slow,omitempty" maximum:"1000" doc:"guard: times what 90 % of requests take that is slow; absent: 2; -1: latency is not watched"`
	LeastRequests  int       `json:"least_requests,omitempty" minimum:"0" doc:"guard: requests before it may act; absent: 10"`
	Judge          *Judging  `json:"judge,omitempty" doc:"how judged steps come to their end"`
	Keep           bool      `json:"keep,omitempty" doc:"also the app's own from now on"`
}
