package doctor

import (
	"context"
	"errors"
	"os"
	"time"

	"naru/internal/observe/forward"
)

// checkRemoteWrite tells how the receiver of metrics is doing.
func checkRemoteWrite(_ context.Context, env Env) Finding {
	r := env.Config.Metrics.RemoteWrite
	if r.URL == "" {
		return skipped("metrics are not sent on")
	}
	s, err := forward.Load(env.Config.RemoteWritePath())
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && s.URL != r.URL:
		return ok("nothing was sent yet")
	case err != nil:
		return warn("rm "+env.Config.RemoteWritePath()+"; sending begins with now then", "how far metrics were sent on cannot be read: %v", err)
	case !s.Failing.IsZero():
		return warn("see that the receiver is there and lets naru in; metrics wait for as long as they are kept (metrics.retention)",
			"metrics wait since %s for their receiver: %s", s.Failing.UTC().Format(time.RFC3339), s.Error)
	case s.Passed > 0:
		return warn("keep metrics for longer than the receiver is away: metrics.retention", "metrics of %s were gone before their receiver was there", s.Passed.Round(time.Second))
	case s.Dropped > 0:
		return warn("see what the receiver says; a Prometheus takes late samples only with out_of_order_time_window", "the receiver refused %d samples of %d: %s", s.Dropped, s.Dropped+s.Sent, s.Error)
	}
	return ok("%d samples were sent on", s.Sent)
}
