package prometheus

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"naru/internal/auth"
)

// exemplified is a series with its exemplars, as Prometheus writes them.
type exemplified struct {
	Series    map[string]string `json:"seriesLabels"`
	Exemplars []exemplarJSON    `json:"exemplars"`
}

type exemplarJSON struct {
	Labels    map[string]string `json:"labels"`
	Value     string            `json:"value"`
	Timestamp float64           `json:"timestamp"` // seconds
}

// exemplars returns requests that stand for others, with their traces, of the
// series that a query selects.
func (d *Door) exemplars(w http.ResponseWriter, r *http.Request, who auth.Identity) error {
	form, err := values(r)
	if err != nil {
		return err
	}
	from, err := instant(form, "start", time.UnixMilli(math.MinInt64/2))
	if err != nil {
		return err
	}
	to, err := instant(form, "end", time.UnixMilli(math.MaxInt64/2))
	if err != nil {
		return err
	}
	reader, err := d.reader(r, who)
	if err != nil {
		return err
	}
	found, err := d.store.Exemplars(r.Context(), reader, form.Get("query"), from, to)
	if err != nil {
		return err
	}
	out := make([]exemplified, 0, len(found))
	for _, one := range found {
		s := exemplified{Series: one.SeriesLabels.Map(), Exemplars: make([]exemplarJSON, 0, len(one.Exemplars))}
		for _, e := range one.Exemplars {
			s.Exemplars = append(s.Exemplars, exemplarJSON{
				Labels: e.Labels.Map(), Value: strconv.FormatFloat(e.Value, 'f', -1, 64), Timestamp: float64(e.Ts) / 1000,
			})
		}
		out = append(out, s)
	}
	return succeedWith(w, out)
}
