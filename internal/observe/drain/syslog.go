package drain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"naru/internal/observe/logs"
)

type syslog struct {
	address string
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	timeout time.Duration

	conn net.Conn // nil: none yet
	buf  []byte
}

// Send writes one frame for each line. Syslog has no answers: a receiver that is
// gone shows when it closes, which is looked for before each call.
func (s *syslog) Send(ctx context.Context, from Source, lines []logs.Line) error {
	if s.conn != nil && s.left() {
		_ = s.Close() // it is gone
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if s.conn == nil {
		c, err := s.connect(ctx, "tcp", s.address)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", s.address, err)
		}
		s.conn = c
	}
	s.buf = s.buf[:0]
	for i := range lines {
		s.buf = appendFrame(s.buf, &from, &lines[i])
	}
	deadline, _ := ctx.Deadline()
	_ = s.conn.SetDeadline(deadline) // a connection without deadlines fails at its write
	if _, err := s.conn.Write(s.buf); err != nil {
		_ = s.Close()
		return fmt.Errorf("send to %s: %w", s.address, err)
	}
	return nil
}

// left reports that the receiver has closed the connection.
func (s *syslog) left() bool {
	_ = s.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	var b [1]byte
	_, err := s.conn.Read(b[:])
	var timeout interface{ Timeout() bool }
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

func (s *syslog) Close() error {
	if s.conn == nil {
		return nil
	}
	c := s.conn
	s.conn = nil
	return c.Close()
}

// Facility user (1), severities informational (6) and error (3): RFC 5424, 6.2.1.
const (
	priorityOut = 1*8 + 6
	priorityErr = 1*8 + 3
)

// element is the structured data of Cloud Foundry's syslog drains, so that what
// reads those reads ours; 47450 is its number at IANA.
const element = "tags@47450"

// appendFrame writes a line as RFC 5424 has it, behind its length. Host, app name
// and process are named as Cloud Foundry names them: org.space.app, the app's id,
// [APP/PROC/WEB/0].
func appendFrame(b []byte, from *Source, l *logs.Line) []byte {
	priority := priorityOut
	if l.Stream == "stderr" {
		priority = priorityErr
	}
	m := make([]byte, 0, 256+len(l.Text))
	m = append(strconv.AppendInt(append(m, '<'), int64(priority), 10), ">1 "...)
	m = l.Time.UTC().AppendFormat(m, "2006-01-02T15:04:05.000000Z07:00")
	m = append(append(m, ' '), header(from.Org+"."+from.Space+"."+from.App, 255)...)
	m = append(append(m, ' '), header(from.ID, 48)...)
	m = append(append(m, ' '), header(process(l), 128)...)
	m = append(m, " - ["+element...)
	for _, p := range [...][2]string{
		{"organization_name", from.Org}, {"space_name", from.Space}, {"app_name", from.App}, {"app_id", from.ID},
		{"source_type", source(l)}, {"process_type", l.Process}, {"instance_id", instance(l)}, {"process_instance_id", l.Instance},
	} {
		if p[1] != "" {
			m = parameter(m, p[0], p[1])
		}
	}
	m = append(m, "] "...)
	m = append(m, strings.TrimRight(l.Text, "\n")...)
	b = strconv.AppendInt(b, int64(len(m)), 10)
	return append(append(b, ' '), m...)
}

// source is a line's source in Cloud Foundry's words.
func source(l *logs.Line) string {
	if l.Source == logs.App && l.Process != "" {
		return "APP/PROC/" + strings.ToUpper(l.Process)
	}
	return l.Source
}

func instance(l *logs.Line) string {
	if l.Source == logs.App || l.Source == logs.Task || l.Source == logs.Router {
		return strconv.Itoa(l.Index)
	}
	return ""
}

func process(l *logs.Line) string {
	if i := instance(l); i != "" {
		return "[" + source(l) + "/" + i + "]"
	}
	return "[" + source(l) + "]"
}

// header is a field of the header: printable ASCII without spaces, of a bounded
// length; "-" is none.
func header(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '_'
		}
		return r
	}, text)
	if text == "" {
		return "-"
	}
	return text[:min(len(text), most)]
}

// parameter writes name="value", in which three characters are escaped (6.3.3).
func parameter(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	for _, c := range []byte(value) {
		if c == '"' || c == '\\' || c == ']' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return append(b, '"')
}
