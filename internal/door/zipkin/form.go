package zipkin

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"naru/internal/fault"
	"naru/internal/observe/traces"
)

// span is one in Zipkin's JSON, version 2. Times are microseconds.
type span struct {
	TraceID     string            `json:"traceId"`
	ParentID    string            `json:"parentId,omitempty"`
	ID          string            `json:"id"`
	Kind        string            `json:"kind,omitempty"`
	Name        string            `json:"name,omitempty"`
	Timestamp   int64             `json:"timestamp,omitempty"`
	Duration    int64             `json:"duration,omitempty"`
	Shared      bool              `json:"shared,omitempty"`
	Local       *endpoint         `json:"localEndpoint,omitempty"`
	Remote      *endpoint         `json:"remoteEndpoint,omitempty"`
	Annotations []annotation      `json:"annotations,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

type endpoint struct {
	Service string `json:"serviceName,omitempty"`
	IPv4    string `json:"ipv4,omitempty"`
	IPv6    string `json:"ipv6,omitempty"`
	Port    int    `json:"port,omitempty"`
}

type annotation struct {
	Timestamp int64  `json:"timestamp"`
	Value     string `json:"value"`
}

// kindNames are Zipkin's words; a span of no call has none.
var kindNames = [...]string{"", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"}

// fromJSON reads a list of spans.
func fromJSON(text []byte) ([]traces.Span, error) {
	if t := bytes.TrimSpace(text); len(t) == 0 || t[0] != '[' {
		return nil, fault.New(fault.Invalid, "", "the body is no list of spans in Zipkin's JSON, version 2")
	}
	var in []span
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fault.New(fault.Invalid, "", "the body is no list of spans in Zipkin's JSON, version 2: %v", err)
	}
	out := make([]traces.Span, len(in))
	for i := range in {
		var err error
		if out[i], err = in[i].span(); err != nil {
			return nil, fault.New(fault.Invalid, fmt.Sprintf("[%d]", i), "%v", err)
		}
	}
	return out, nil
}

func micros(us int64) time.Time {
	if us <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// took is a duration; what is too large stays so.
func took(us int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Microsecond)
	return time.Duration(min(us, most)) * time.Microsecond
}

// span is the span as it is kept.
func (s *span) span() (out traces.Span, err error) {
	if out.Trace, err = traces.ParseID("traceId", s.TraceID); err != nil {
		return out, errors.New(fault.Of(err).Message)
	}
	var ok1, ok2 bool
	out.ID, ok1 = traces.ParseSpanID(s.ID)
	out.Parent, ok2 = traces.ParseSpanID(s.ParentID)
	if !ok1 || !ok2 || out.ID.IsZero() {
		return out, fmt.Errorf("%q, child of %q, is no span: ids have 16 hexadecimal digits", clip(s.ID), clip(s.ParentID))
	}
	out.Kind = traces.Kind(max(0, slices.Index(kindNames[:], strings.ToUpper(s.Kind))))
	out.Service, out.Name, out.Shared = "unknown", s.Name, s.Shared
	out.Start, out.Took = micros(s.Timestamp), took(s.Duration)
	if s.Local != nil && s.Local.Service != "" {
		out.Service = s.Local.Service
	}
	for _, key := range sortedKeys(s.Tags) {
		out.Tags = append(out.Tags, traces.Tag{Key: key, Value: s.Tags[key]})
	}
	if message, failed := s.Tags["error"]; failed {
		out.Error, out.Message = true, message
	}
	if r := s.Remote; r != nil {
		out.Remote = r.Service
		if ip := r.IPv4 + r.IPv6; ip != "" && s.Tags[peerAddress] == "" {
			if r.IPv4 != "" {
				ip = r.IPv4
			}
			out.Tags = append(out.Tags, traces.Tag{Key: peerAddress, Value: ip})
			if r.Port > 0 {
				out.Tags = append(out.Tags, traces.Tag{Key: peerPort, Value: fmt.Sprint(r.Port)})
			}
		}
	}
	for _, a := range s.Annotations {
		out.Events = append(out.Events, traces.Event{Time: micros(a.Timestamp), Name: a.Value})
	}
	return out, nil
}

// The tags that say where the other side is, in OpenTelemetry's words.
const (
	peerAddress = "network.peer.address"
	peerPort    = "network.peer.port"
)

// asJSON are traces in Zipkin's form.
func asJSON(all []traces.Trace) [][]span {
	out := make([][]span, len(all))
	for i := range all {
		out[i] = make([]span, len(all[i].Spans))
		for j := range all[i].Spans {
			out[i][j] = spanOf(&all[i].Spans[j])
		}
	}
	return out
}

func spanOf(s *traces.Span) span {
	id := s.Trace.String()
	if short := strings.TrimPrefix(id, "0000000000000000"); len(short) == 16 {
		id = short
	}
	out := span{
		TraceID: id, ID: s.ID.String(), ParentID: s.Parent.String(), Kind: kindNames[0], Name: s.Name, Timestamp: s.Start.UnixMicro(),
		Duration: max(1, s.Took.Microseconds()), Shared: s.Shared, Local: &endpoint{Service: s.Service}, Tags: map[string]string{},
	}
	if int(s.Kind) < len(kindNames) {
		out.Kind = kindNames[s.Kind]
	}
	if s.Remote != "" {
		out.Remote = &endpoint{Service: s.Remote}
	}
	for _, t := range s.Tags {
		out.Tags[t.Key] = t.Value
	}
	if _, said := out.Tags["error"]; s.Error && !said {
		out.Tags["error"] = s.Message
		if s.Message == "" {
			out.Tags["error"] = "true"
		}
	}
	for _, e := range s.Events {
		out.Annotations = append(out.Annotations, annotation{e.Time.UnixMicro(), e.Name})
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// fromProto reads a ListOfSpans of zipkin.proto.
func fromProto(text []byte) (out []traces.Span, err error) {
	err = fields(text, func(n protowire.Number, v value) error {
		if n != 1 {
			return nil
		}
		s, err := protoSpan(v.bytes)
		if err != nil {
			return err
		}
		one, err := s.span()
		out = append(out, one)
		return err
	})
	if err != nil {
		return nil, fault.New(fault.Invalid, "", "the body is no list of spans of zipkin.proto: %v", err)
	}
	return out, nil
}

// value of a field.
type value struct {
	number uint64
	bytes  []byte
}

// fields calls do with each field of a message.
func fields(b []byte, do func(protowire.Number, value) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v value
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := do(number, v); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// protoKinds are the kinds by their numbers in zipkin.proto.
var protoKinds = [...]string{"", "CLIENT", "SERVER", "PRODUCER", "CONSUMER"}

func protoSpan(b []byte) (s span, err error) {
	s.Tags = map[string]string{}
	err = fields(b, func(n protowire.Number, v value) (err error) {
		switch n {
		case 1:
			s.TraceID = hex.EncodeToString(v.bytes)
		case 2:
			s.ParentID = hex.EncodeToString(v.bytes)
		case 3:
			s.ID = hex.EncodeToString(v.bytes)
		case 4:
			if v.number < uint64(len(protoKinds)) {
				s.Kind = protoKinds[v.number]
			}
		case 5:
			s.Name = string(v.bytes)
		case 6:
			s.Timestamp = bounded(v.number)
		case 7:
			s.Duration = bounded(v.number)
		case 8:
			s.Local, err = protoEndpoint(v.bytes)
		case 9:
			s.Remote, err = protoEndpoint(v.bytes)
		case 10:
			var a annotation
			err = fields(v.bytes, func(n protowire.Number, v value) error {
				switch n {
				case 1:
					a.Timestamp = bounded(v.number)
				case 2:
					a.Value = string(v.bytes)
				}
				return nil
			})
			s.Annotations = append(s.Annotations, a)
		case 11:
			var key, text string
			err = fields(v.bytes, func(n protowire.Number, v value) error {
				switch n {
				case 1:
					key = string(v.bytes)
				case 2:
					text = string(v.bytes)
				}
				return nil
			})
			s.Tags[key] = text
		case 13:
			s.Shared = v.number != 0
		}
		return err
	})
	return s, err
}

func bounded(n uint64) int64 { return int64(min(n, 1<<62)) }

func protoEndpoint(b []byte) (*endpoint, error) {
	e := &endpoint{}
	err := fields(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			e.Service = string(v.bytes)
		case 2, 3:
			ip, ok := netip.AddrFromSlice(v.bytes)
			if !ok {
				return nil // it says nothing about the span
			}
			if n == 2 {
				e.IPv4 = ip.String()
			} else {
				e.IPv6 = ip.String()
			}
		case 4:
			e.Port = int(v.number & 0xffff)
		}
		return nil
	})
	return e, err
}
