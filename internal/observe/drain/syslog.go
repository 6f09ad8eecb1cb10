package drain

import (
	"context"
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

	link  *link  // nil: none
	buf   []byte // of the lines of this call
	last  []byte // of those before
	sent  time.Time
	again bool // last may not have been read
}

// readWithin is how soon a receiver has read what its kernel has: what it was
// sent in so short a time before it closed is sent once more.
const readWithin = 2 * time.Second

// Send writes one frame for each line and returns when the receiver's kernel has
// acknowledged them: syslog itself has no answers.
func (s *syslog) Send(ctx context.Context, from Source, lines []logs.Line) error {
	if s.link != nil && s.link.closed() {
		s.drop()
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if s.link == nil {
		c, err := s.connect(ctx, "tcp", s.address)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", s.address, err)
		}
		s.link = newLink(c)
	}
	s.buf = s.buf[:0]
	if s.again {
		s.buf = append(s.buf, s.last...)
	}
	before := len(s.buf)
	for i := range lines {
		s.buf = appendFrame(s.buf, &from, &lines[i])
	}
	if err := s.link.write(ctx, s.buf); err != nil {
		s.drop()
		return fmt.Errorf("send to %s: %w", s.address, err)
	}
	s.last = append(s.last[:0], s.buf[before:]...)
	s.sent, s.again = time.Now(), false
	return nil
}

// drop closes the connection and notes whether what was sent last may be lost.
func (s *syslog) drop() {
	end := time.Now()
	if s.link.closed() {
		end = s.link.end
	}
	s.again = s.again || len(s.last) > 0 && end.Sub(s.sent) < readWithin
	_ = s.Close() // it is gone
}

// Settle waits a moment for the receiver to close the connection, which is all
// that one can say who does not like what it was sent.
func (s *syslog) Settle(ctx context.Context) error {
	if s.link == nil {
		return nil
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	case <-s.link.gone:
		return fmt.Errorf("send to %s: the receiver closed the connection behind the line", s.address)
	}
}

func (s *syslog) Close() error {
	if s.link == nil {
		return nil
	}
	c := s.link
	s.link = nil
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
