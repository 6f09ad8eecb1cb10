package self

// Metric says what a metric is.
type Metric struct {
	Counter bool // else a gauge
	Labels  []string
	Help    string
}

// About are naru's metrics of itself. Those of its process are client_golang's.
var About = map[string]Metric{
	"naru_build_info":                  {Labels: []string{"version"}, Help: "1; its label says which naru runs."},
	"naru_apps":                        {Help: "Apps there are."},
	"naru_instances":                   {Labels: []string{"state"}, Help: "Instances of apps."},
	"naru_operations":                  {Labels: []string{"state"}, Help: "Operations that wait or run: builds, releases, removals."},
	"naru_rollouts":                    {Labels: []string{"state"}, Help: "Rollouts that have not ended."},
	"naru_alerts":                      {Labels: []string{"state"}, Help: "Alerts of objectives."},
	"naru_events_total":                {Counter: true, Help: "Events that were recorded, ever."},
	"naru_log_drains":                  {Labels: []string{"state"}, Help: "Pairs of a log drain and an app: well, or failing."},
	"naru_log_drain_lines_total":       {Counter: true, Labels: []string{"result"}, Help: "Lines that receivers of logs took, and those that were dropped; of the drains that there are."},
	"naru_disk_used_bytes":             {Labels: []string{"of"}, Help: "Disk that parts of the data folder take."},
	"naru_disk_free_bytes":             {Help: "Free room on the disk of the data folder."},
	"naru_metrics_series":              {Help: "Series that had samples in the last hours."},
	"naru_metrics_bytes":               {Help: "Size of all that is kept of metrics."},
	"naru_metrics_oldest_seconds":      {Help: "Age of the oldest metrics."},
	"naru_metrics_samples_total":       {Counter: true, Labels: []string{"result"}, Help: "Samples: written, refused over a limit of series, late, or twice."},
	"naru_metrics_queries_total":       {Counter: true, Labels: []string{"result"}, Help: "Queries: answered, or refused: over a limit, wrong, or cancelled."},
	"naru_traces_bytes":                {Help: "Size of all that is kept of traces."},
	"naru_traces_spans_total":          {Counter: true, Labels: []string{"result"}, Help: "Spans that came: kept, or refused; cut are those of the kept that lost some of what they said."},
	"naru_remote_write_samples_total":  {Counter: true, Labels: []string{"result"}, Help: "Samples that were sent on to another Prometheus, and those that it refused."},
	"naru_remote_write_behind_seconds": {Help: "Age of what is sent on next."},
	"naru_remote_write_failing":        {Help: "1 while nothing gets through to the other Prometheus, else 0."},
	"naru_remote_write_passed_seconds": {Help: "Time of which the metrics were gone before the other Prometheus was there."},
}
