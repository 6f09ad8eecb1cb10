package prometheus

import (
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/observe/metrics"
)

// speaks is the version of Prometheus whose API this is: clients decide by it what
// they may ask for.
const speaks = "3.11.3"

func (d *Door) buildInfo(w http.ResponseWriter, _ *http.Request, _ auth.Identity) error {
	return succeedWith(w, map[string]string{
		"version": speaks, "revision": "naru " + d.cfg.Version, "branch": "", "buildUser": "", "buildDate": "", "goVersion": runtime.Version(),
	})
}

func (d *Door) runtimeInfo(w http.ResponseWriter, _ *http.Request, _ auth.Identity) error {
	return succeedWith(w, map[string]any{
		"reloadConfigSuccess": true, "corruptionCount": 0, "storageRetention": model.Duration(d.cfg.Retention.Truncate(time.Second)).String(),
	})
}

func (d *Door) metadata(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	form, err := values(r)
	if err != nil {
		return err
	}
	limit := d.cfg.Series
	if text := form.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fault.New(fault.Invalid, "limit", "%q is no number of entries", clip(text))
		}
		if n > 0 {
			limit = min(limit, n)
		}
	}
	reader, err := d.reader(r, who)
	if err != nil {
		return err
	}
	all := d.store.Metadata(reader)
	if name := form.Get("metric"); name != "" {
		one := map[string][]metrics.Metadata{}
		if m, ok := all[name]; ok {
			one[name] = m
		}
		return succeedWith(w, one)
	}
	if len(all) > limit {
		for _, name := range slices.Sorted(maps.Keys(all))[limit:] {
			delete(all, name)
		}
	}
	return succeedWith(w, all)
}

// none answers questions about what naru does not keep here with an empty list.
func (d *Door) none(name string) func(http.ResponseWriter, *http.Request, auth.Identity) error {
	return func(w http.ResponseWriter, _ *http.Request, _ auth.Identity) error {
		return succeedWith(w, map[string][]string{name: {}})
	}
}
