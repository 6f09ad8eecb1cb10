package oci

import (
	"context"
	"io"
	"log/slog"

	"github.com/sirupsen/logrus"
)

// TameLogs sends what distribution and containerd's client log to a logger of
// ours instead of to standard error. They know one process-wide logger only, so
// main calls this once. What distribution says about each request goes to debug:
// the registry logs requests itself.
func TameLogs(log *slog.Logger) {
	std := logrus.StandardLogger()
	std.SetOutput(io.Discard)
	std.SetFormatter(nothing{})
	std.ReplaceHooks(logrus.LevelHooks{})
	std.AddHook(toSlog{log})
	std.SetLevel(logrus.InfoLevel)
}

// nothing spares formatting what is thrown away.
type nothing struct{}

func (nothing) Format(*logrus.Entry) ([]byte, error) { return nil, nil }

type toSlog struct{ log *slog.Logger }

func (toSlog) Levels() []logrus.Level { return logrus.AllLevels }

func (h toSlog) Fire(e *logrus.Entry) error {
	level := slog.LevelDebug
	_, ofRequest := e.Data["http.request.method"]
	if e.Level <= logrus.WarnLevel && !ofRequest {
		level = slog.LevelWarn
	}
	ctx := e.Context
	if ctx == nil {
		ctx = context.Background()
	}
	attrs := make([]slog.Attr, 0, 1)
	if err, ok := e.Data[logrus.ErrorKey]; ok {
		attrs = append(attrs, slog.Any("err", err))
	}
	h.log.LogAttrs(ctx, level, "library: "+e.Message, attrs...)
	return nil
}
