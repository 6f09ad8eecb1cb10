package drain

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlplogs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"naru/internal/fault"
	"naru/internal/observe/logs"
)

// otlp sends protobuf over HTTP (OTLP 1.5, OTLP/HTTP).
type otlp struct {
	url     string
	user    *url.Userinfo
	header  map[string]string
	client  http.Client
	timeout time.Duration
}

func newOTLP(u *url.URL, header map[string]string, way Way, timeout time.Duration) *otlp {
	to := *u
	to.Scheme, to.User = strings.TrimPrefix(u.Scheme, "otlp+"), nil
	return &otlp{to.String(), u.User, header, http.Client{Transport: way.transport(), CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // logs go where they were sent, and nowhere else
	}}, timeout}
}

// answerBytes bounds what is read of an answer.
const answerBytes = 64 << 10

func (o *otlp) Send(ctx context.Context, from Source, lines []logs.Line) error {
	body, err := proto.Marshal(request(from, lines))
	if err != nil {
		return fmt.Errorf("encode lines: %w", err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(body); err != nil {
		return fmt.Errorf("encode lines: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("encode lines: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, &packed)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Set("User-Agent", "naru")
	if o.user != nil {
		password, _ := o.user.Password()
		r.SetBasicAuth(o.user.Username(), password)
	}
	for name, value := range o.header {
		r.Header.Set(name, value)
	}
	res, err := o.client.Do(r)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) { // it shows the whole URL
			err = of.Err
		}
		return fmt.Errorf("send to %s: %w", r.URL.Host, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read from
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerBytes))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	switch {
	case res.StatusCode/100 == 2:
		return refused(answer)
	case res.StatusCode == http.StatusRequestEntityTooLarge && len(lines) > 1:
		return o.halves(ctx, from, lines)
	case res.StatusCode == 400 || res.StatusCode == http.StatusRequestEntityTooLarge: // what cannot be read once cannot be read later either
		return fault.New(fault.Invalid, "", "the receiver refused the lines: %s", res.Status)
	}
	return fmt.Errorf("send to %s: the receiver answered %s", r.URL.Host, res.Status)
}

// halves sends in two what was too large at once. What was taken of it is not to
// be sent again, so that all which is refused for good is counted.
func (o *otlp) halves(ctx context.Context, from Source, lines []logs.Line) error {
	refused := &Rejected{}
	for _, half := range [...][]logs.Line{lines[:len(lines)/2], lines[len(lines)/2:]} {
		err := o.Send(ctx, from, half)
		var some *Rejected
		switch {
		case errors.As(err, &some):
			refused.Lines, refused.Reason = refused.Lines+some.Lines, some.Reason
		case fault.Is(err, fault.Invalid):
			refused.Lines, refused.Reason = refused.Lines+int64(len(half)), err.Error()
		case err != nil:
			return err
		}
	}
	if refused.Lines > 0 {
		return refused
	}
	return nil
}

// refused says what a receiver that took a request did not take of it: those
// lines must not be sent again.
func refused(answer []byte) error {
	var a collector.ExportLogsServiceResponse
	if proto.Unmarshal(answer, &a) != nil {
		return nil // an answer that says nothing
	}
	if p := a.GetPartialSuccess(); p.GetRejectedLogRecords() > 0 {
		return &Rejected{p.GetRejectedLogRecords(), p.GetErrorMessage()}
	}
	return nil
}

// Rejected is told when a receiver took a request but some of its lines not.
type Rejected struct {
	Lines  int64
	Reason string
}

// Error says how many and why.
func (r *Rejected) Error() string {
	return fmt.Sprintf("the receiver refused %d lines: %s", r.Lines, r.Reason)
}

func (o *otlp) Close() error {
	o.client.CloseIdleConnections()
	return nil
}

// request puts lines together by what they are from.
func request(from Source, lines []logs.Line) *collector.ExportLogsServiceRequest {
	type origin struct {
		source, process, instance string
		index                     int
	}
	by := map[origin]*otlplogs.ScopeLogs{}
	out := &collector.ExportLogsServiceRequest{}
	for i := range lines {
		l := &lines[i]
		o := origin{l.Source, l.Process, l.Instance, l.Index}
		scope, ok := by[o]
		if !ok {
			scope = &otlplogs.ScopeLogs{Scope: &common.InstrumentationScope{Name: "naru"}}
			by[o] = scope
			out.ResourceLogs = append(out.ResourceLogs, &otlplogs.ResourceLogs{Resource: resourceOf(from, l), ScopeLogs: []*otlplogs.ScopeLogs{scope}})
		}
		scope.LogRecords = append(scope.LogRecords, record(l))
	}
	return out
}

// resourceOf names where a line is from, in the words of OpenTelemetry's semantic
// conventions; cloudfoundry.* is what they have for platforms as this one.
func resourceOf(from Source, l *logs.Line) *resource.Resource {
	r := &resource.Resource{}
	for _, a := range [...][2]string{
		{"service.name", from.App}, {"service.namespace", from.Org + "." + from.Space}, {"service.instance.id", l.Instance},
		{"cloudfoundry.org.name", from.Org}, {"cloudfoundry.space.name", from.Space}, {"cloudfoundry.app.name", from.App}, {"cloudfoundry.app.id", from.ID},
		{"cloudfoundry.process.type", l.Process}, {"cloudfoundry.app.instance.id", instance(l)}, {"naru.source", l.Source},
	} {
		if a[1] != "" {
			r.Attributes = append(r.Attributes, attribute(a[0], a[1]))
		}
	}
	return r
}

func attribute(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: text(value)}
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func record(l *logs.Line) *otlplogs.LogRecord {
	r := &otlplogs.LogRecord{
		TimeUnixNano: uint64(l.Time.UnixNano()), ObservedTimeUnixNano: uint64(l.Time.UnixNano()), Body: text(l.Text),
		SeverityNumber: otlplogs.SeverityNumber_SEVERITY_NUMBER_INFO,
		Attributes:     []*common.KeyValue{attribute("log.iostream", l.Stream)},
	}
	if l.Stream == "stderr" {
		r.SeverityNumber = otlplogs.SeverityNumber_SEVERITY_NUMBER_ERROR
	}
	if l.Dropped > 0 {
		r.Attributes = append(r.Attributes, attribute("naru.dropped", strconv.FormatInt(l.Dropped, 10)))
	}
	if id := l.Trace(); id != "" {
		r.TraceId, _ = hex.DecodeString(id) // Trace gives nothing else
	}
	return r
}
