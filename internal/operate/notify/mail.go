package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"naru/internal/fault"
	"naru/internal/secret"
)

// Security says how a mail server is spoken to.
type Security string

// The ways. Nothing falls back to a weaker one.
const (
	StartTLS  Security = "starttls" // plain, then TLS, which the server must offer: port 587
	TLS       Security = "tls"      // TLS from the first byte: port 465
	Plaintext Security = "none"     // for a relay on this machine or a private network
)

// MailServer is one that takes mail.
type MailServer struct {
	Address  string // host:port
	Security Security
	TLS      *tls.Config // nil: the system's authorities; the server's name is filled in
	User     string      // "": no AUTH
	Password secret.Secret
	From     string
	Hello    string // name this machine gives itself; "": localhost
}

// Check refuses a server that cannot be used.
func (s MailServer) Check(field string) error {
	var errs []error
	bad := func(key, try, format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, field+key, format, args...).WithTry("%s", try))
	}
	host, port, err := net.SplitHostPort(s.Address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || perr != nil || n == 0 {
		bad(".address", "mail.example.com:587", "%q is not host and port", s.Address)
	}
	if s.Security != StartTLS && s.Security != TLS && s.Security != Plaintext {
		bad(".security", "starttls, tls or none", "%q is not how a mail server is spoken to", s.Security)
	}
	if _, err := mail.ParseAddress(s.From); err != nil {
		bad(".from", "naru@example.com", "%q is no mail address", s.From)
	}
	if s.User != "" && s.Security == Plaintext && !loopback(host) {
		bad(".security", "starttls", "a password is not sent in clear")
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Mail sends messages by SMTP.
type Mail struct {
	server MailServer
	to     []string
	dialer net.Dialer
	now    func() time.Time
}

// NewMail makes one that writes to some addresses.
func NewMail(server MailServer, to []string) (*Mail, error) {
	if err := server.Check("mail"); err != nil {
		return nil, err
	}
	if len(to) == 0 || len(to) > 50 {
		return nil, fault.New(fault.Invalid, "mail.to", "it names %d addresses, want 1 to 50", len(to))
	}
	m := &Mail{server: server, now: time.Now}
	for _, t := range to {
		a, err := mail.ParseAddress(t)
		if err != nil || strings.ContainsAny(a.Address, "\r\n") {
			return nil, fault.New(fault.Invalid, "mail.to", "%q is no mail address", t).WithTry("team@example.com")
		}
		m.to = append(m.to, a.Address)
	}
	return m, nil
}

var _ Trier = (*Mail)(nil)

// Send delivers one mail to all addresses, or to none.
func (m *Mail) Send(ctx context.Context, msg Message) error {
	_, err := m.Try(ctx, msg)
	return err
}

// Try is Send, with what the server said when it took the mail.
func (m *Mail) Try(ctx context.Context, msg Message) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*SendTimeout)
	defer cancel()
	client, err := m.dial(ctx)
	if err != nil {
		return "", err
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	said, err := m.speak(client, msg)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", m.judged(err)
	}
	return m.server.Address + hidden(said, []secret.Secret{m.server.Password}), nil
}

func (m *Mail) dial(ctx context.Context) (*smtp.Client, error) {
	host, _, _ := net.SplitHostPort(m.server.Address)
	conn, err := m.dialer.DialContext(ctx, "tcp", m.server.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", m.server.Address, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, fmt.Errorf("connect to %s: %w", m.server.Address, err)
		}
	}
	if m.server.Security == TLS {
		conn = tls.Client(conn, m.tls(host))
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		conn.Close()
		return nil, m.judged(err)
	}
	return client, nil
}

func (m *Mail) tls(host string) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if m.server.TLS != nil {
		cfg = m.server.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	return cfg
}

func (m *Mail) speak(c *smtp.Client, msg Message) (said string, _ error) {
	hello := m.server.Hello
	if hello == "" {
		hello = "localhost"
	}
	if err := c.Hello(hello); err != nil {
		return "", err
	}
	host, _, _ := net.SplitHostPort(m.server.Address)
	if m.server.Security == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return "", errors.New("the server does not offer STARTTLS, and nothing is sent in clear")
		}
		if err := c.StartTLS(m.tls(host)); err != nil {
			return "", err
		}
	}
	if m.server.User != "" {
		if err := m.auth(c, host); err != nil {
			return "", err
		}
	}
	from, err := mail.ParseAddress(m.server.From)
	if err != nil {
		return "", err
	}
	if err := c.Mail(from.Address); err != nil {
		return "", err
	}
	for _, to := range m.to {
		if err := c.Rcpt(to); err != nil {
			return "", fmt.Errorf("%s: %w", to, err)
		}
	}
	said, err = deliver(c.Text, mailText(msg, *from, m.to, m.now()))
	if err != nil {
		return "", err
	}
	_ = c.Quit() // it is delivered already
	return said, nil
}

// deliver is DATA of package smtp, which keeps to itself what the server says.
func deliver(c *textproto.Conn, text []byte) (said string, err error) {
	ask, err := c.Cmd("DATA")
	if err != nil {
		return "", err
	}
	c.StartResponse(ask)
	_, _, err = c.ReadResponse(354)
	c.EndResponse(ask)
	if err != nil {
		return "", err
	}
	w := c.DotWriter()
	if _, err := w.Write(text); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	code, said, err := c.ReadResponse(250) // the server has taken it, or not
	return fmt.Sprintf("%d %s", code, said), err
}

// auth takes the first way that the server offers and we know.
func (m *Mail) auth(c *smtp.Client, host string) error {
	ok, ways := c.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(ways))
	for _, way := range offered {
		switch way {
		case "PLAIN":
			return c.Auth(smtp.PlainAuth("", m.server.User, m.server.Password.Reveal(), host))
		case "LOGIN":
			return c.Auth(&login{m.server.User, m.server.Password})
		}
	}
	if !ok {
		return errors.New("the server does not offer AUTH")
	}
	return fmt.Errorf("the server offers AUTH %s, and we know PLAIN and LOGIN", strings.Join(offered, ", "))
}

// login is AUTH LOGIN, which some servers have instead of PLAIN.
type login struct {
	user     string
	password secret.Secret
}

func (l *login) Start(info *smtp.ServerInfo) (string, []byte, error) {
	if !info.TLS && !loopback(info.Name) {
		return "", nil, errors.New("a password is not sent in clear")
	}
	return "LOGIN", nil, nil
}

func (l *login) Next(from []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	switch strings.ToLower(strings.TrimSpace(string(from))) {
	case "username:", "user name", "user name:":
		return []byte(l.user), nil
	case "password:", "password":
		return []byte(l.password.Reveal()), nil
	}
	return nil, errors.New("the server asks for something that is neither user name nor password")
}

// judged says which errors no further try mends: those that the server calls so.
func (m *Mail) judged(err error) error {
	wrapped := fmt.Errorf("mail by %s: %w", m.server.Address, err)
	var said *textproto.Error
	if !errors.As(err, &said) {
		return wrapped
	}
	wrapped = fmt.Errorf("mail by %s: %d %s", m.server.Address, said.Code, strings.TrimPrefix(hidden(said.Msg, []secret.Secret{m.server.Password}), ": "))
	if said.Code/100 == 5 {
		return Permanent(wrapped)
	}
	return wrapped
}
