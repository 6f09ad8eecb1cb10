package meter

import (
	"bufio"
	"log/slog"
	"net/http"

	"naru/internal/route"
)

// Source is a gateway in the same process; *gateway.Gateway is.
type Source interface {
	Table() *route.Table
	Counters() []route.Counter
	Load() route.Load
	Trips() []route.Trip
}

// Alone shows the metrics of a gateway that has no control plane, at /metrics.
func Alone(g Source, log *slog.Logger) http.Handler {
	m := New(Limits{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		const self = "self"
		dir := Listed(g.Table(), nil)
		m.Counters(self, g.Counters())
		m.Load(self, g.Load())
		m.Tripped(g.Trips())
		m.Forget(dir)
		reader := Reader{All: true, OpenMetrics: WantsOpenMetrics(r.Header.Get("Accept"))}
		w.Header().Set("Content-Type", ContentType)
		if reader.OpenMetrics {
			w.Header().Set("Content-Type", OpenMetricsType)
		}
		out := bufio.NewWriterSize(w, 64<<10)
		err := m.Write(out, dir, reader)
		if err == nil {
			err = out.Flush()
		}
		if err != nil && r.Context().Err() == nil {
			log.WarnContext(r.Context(), "write metrics", "client", r.RemoteAddr, "error", err)
		}
	})
	return mux
}
