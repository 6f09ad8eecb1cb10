//go:build linux

package server

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"naru/internal/config"
	"naru/internal/disk"
	"naru/internal/observe/self"
	"naru/internal/version"
)

// newSelf measures naru itself.
func newSelf(cfg config.Config, o *observed) *self.Self {
	return self.New([]self.Part{
		{Name: "build", Measure: func(context.Context) ([]self.Value, error) {
			return []self.Value{{Name: "naru_build_info", Labels: []string{version.Version}, V: 1}}, nil
		}},
		{Name: "store", Measure: o.pulse},
		{Name: "metrics", Measure: o.keeping},
		{Name: "traces", Measure: o.tracing},
		{Name: "disk", Measure: func(ctx context.Context) ([]self.Value, error) { return diskUse(ctx, cfg) }},
	}, o.log)
}

// measuring keeps what is measured until ctx ends.
func measuring(cfg config.Config, o *observed) func(context.Context) error {
	return func(ctx context.Context) error { return o.self.Run(ctx, o.store, cfg.Metrics.Interval) }
}

// pulse counts what there is in the database.
func (o *observed) pulse(ctx context.Context) ([]self.Value, error) {
	p, err := o.state.Pulse(ctx)
	if err != nil {
		return nil, err
	}
	out := []self.Value{
		{Name: "naru_apps", V: float64(p.Apps)}, {Name: "naru_events_total", V: float64(p.Events)},
		{Name: "naru_log_drains", Labels: []string{"well"}, V: float64(p.Drains.Courses - p.Drains.Failing)},
		{Name: "naru_log_drains", Labels: []string{"failing"}, V: float64(p.Drains.Failing)},
		{Name: "naru_log_drain_lines_total", Labels: []string{"sent"}, V: float64(p.Drains.Sent)},
		{Name: "naru_log_drain_lines_total", Labels: []string{"dropped"}, V: float64(p.Drains.Dropped)},
	}
	for name, states := range map[string]map[string]int64{"naru_instances": p.Instances, "naru_operations": p.Operations, "naru_rollouts": p.Rollouts, "naru_alerts": p.Alerts} {
		for _, state := range slices.Sorted(maps.Keys(states)) {
			out = append(out, self.Value{Name: name, Labels: []string{state}, V: float64(states[state])})
		}
	}
	return out, nil
}

// keeping is how the metrics themselves are doing, and those that are sent on.
func (o *observed) keeping(context.Context) ([]self.Value, error) {
	c := o.store.Counted()
	total := func(name, result string, n int) self.Value {
		return self.Value{Name: name, Labels: []string{result}, V: float64(n)}
	}
	out := []self.Value{
		total("naru_metrics_samples_total", "written", c.Written), total("naru_metrics_samples_total", "refused", c.Refused),
		total("naru_metrics_samples_total", "late", c.Late), total("naru_metrics_samples_total", "twice", c.Twice),
		total("naru_metrics_queries_total", "answered", c.Answered), total("naru_metrics_queries_total", "refused", c.Unanswered),
	}
	if size, err := o.store.Size(); err == nil { // else it is not open, and the log says why
		out = append(out, self.Value{Name: "naru_metrics_series", V: float64(size.Series)}, self.Value{Name: "naru_metrics_bytes", V: float64(size.Bytes)})
		if !size.Oldest.IsZero() {
			out = append(out, self.Value{Name: "naru_metrics_oldest_seconds", V: time.Since(size.Oldest).Seconds()})
		}
	}
	if o.sent == nil {
		return out, nil
	}
	s := o.sent.State()
	failing := 0.0
	if !s.Failing.IsZero() {
		failing = 1
	}
	return append(out,
		total("naru_remote_write_samples_total", "sent", int(s.Sent)), total("naru_remote_write_samples_total", "dropped", int(s.Dropped)),
		self.Value{Name: "naru_remote_write_behind_seconds", V: s.Behind.Seconds()}, self.Value{Name: "naru_remote_write_passed_seconds", V: s.Passed.Seconds()},
		self.Value{Name: "naru_remote_write_failing", V: failing}), nil
}

// diskUse is what parts of the data folder take, and what is free.
func diskUse(ctx context.Context, cfg config.Config) ([]self.Value, error) {
	var out []self.Value
	for _, of := range []struct{ name, path string }{
		{"store", cfg.StorePath()}, {"logs", filepath.Join(cfg.DataDir, "logs")}, {"metrics", cfg.MetricsDir()}, {"traces", filepath.Join(cfg.DataDir, "traces")},
	} {
		out = append(out, self.Value{Name: "naru_disk_used_bytes", Labels: []string{of.name}, V: float64(folderBytes(ctx, of.path))})
	}
	room, err := disk.Of(cfg.DataDir)
	if err != nil {
		return out, err
	}
	return append(out, self.Value{Name: "naru_disk_free_bytes", V: float64(room.Free)}), nil
}

// folderBytes is the size of all files below a path; what goes away meanwhile
// counts for nothing.
func folderBytes(ctx context.Context, path string) (sum int64) {
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return fs.SkipAll
		}
		if err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
