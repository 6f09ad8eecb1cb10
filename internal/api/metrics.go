package api

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"

	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/observe/meter"
	"naru/internal/run"
)

type metricsInput struct {
	Encoding string `header:"Accept-Encoding" doc:"gzip: the answer is compressed"`
	Accept   string `header:"Accept" doc:"application/openmetrics-text: the answer is OpenMetrics, with exemplars"`
}

// metrics shows everybody the apps they may see. What belongs to no app is for
// those who manage the platform.
func (s *server) metrics(ctx context.Context, in *metricsInput, st *stream) error {
	who := requestOf(ctx).who
	reader := meter.Reader{
		Sees: func(h meter.Home) bool { return auth.Sees(who, h.Org, h.Space) },
		All:  auth.Can(who, auth.PlatformAudit, "", ""),
	}
	if reader.OpenMetrics = meter.WantsOpenMetrics(in.Accept); reader.OpenMetrics {
		st.kind = meter.OpenMetricsType
	}
	var out io.Writer = st
	var pack *gzip.Writer
	if strings.Contains(in.Encoding, "gzip") {
		st.w.Header().Set("Content-Encoding", "gzip")
		pack, _ = gzip.NewWriterLevel(st, gzip.BestSpeed) // an error is about the level
		out = pack
	}
	buffered := bufio.NewWriterSize(out, 64<<10)
	err := s.Metrics.WriteMetrics(ctx, buffered, reader)
	if err == nil {
		err = buffered.Flush()
	}
	if pack != nil {
		err = errors.Join(err, pack.Close())
	}
	return err
}

// traffic is what groups had in the last minute; those without a request are left
// out.
func (s *server) traffic(groups []run.Group) map[run.GroupID]*client.Traffic {
	rates := s.Metrics.Rates(each(groups, func(g run.Group) string { return string(g.ID) })...)
	out := make(map[run.GroupID]*client.Traffic, len(rates))
	for id, r := range rates {
		out[run.GroupID(id)] = &client.Traffic{RequestsPerSecond: r.PerSecond, ErrorShare: r.Failed}
	}
	return out
}
