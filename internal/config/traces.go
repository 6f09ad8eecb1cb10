package config

// Traces bounds which requests are traced.
type Traces struct {
	Sample float64 `key:"sample" doc:"share of the requests that have a trace, from 0 to 1, where neither visitors nor routes say; 0 traces what visitors say and nothing else"`
	First  int     `key:"first" doc:"requests of each route and second that have one whatever traces.sample is, so that apps which are seldom asked have traces, too; not where that is 0"`
}

func (t Traces) complaints() []error {
	return []error{factor("traces.sample", t.Sample, 1), within("traces.first", t.First, 0, 1_000_000)}
}
