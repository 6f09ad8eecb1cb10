package notify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"naru/internal/fault"
	"naru/internal/operate/notify"
	"naru/internal/secret"
)

// mailbox is a real SMTP server that keeps what it is given.
type mailbox struct {
	address string
	roots   *x509.CertPool
	login   bool // it has AUTH LOGIN and no PLAIN
	refuse  *smtp.SMTPError

	mu   sync.Mutex
	got  []letter
	user string
}

type letter struct {
	from string
	to   []string
	text []byte
	tls  bool
}

func openMailbox(t *testing.T, security notify.Security, change func(*mailbox)) *mailbox {
	t.Helper()
	b := &mailbox{}
	if change != nil {
		change(b)
	}
	cert, roots := certificate(t)
	b.roots = roots
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &visit{box: b, conn: c}, nil }))
	server.Domain = "localhost"
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.AllowInsecureAuth = security == notify.Plaintext
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = listener.Addr().String()
	switch security {
	case notify.TLS:
		listener = tls.NewListener(listener, conf)
	case notify.StartTLS:
		server.TLSConfig = conf
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return b
}

func (b *mailbox) server(security notify.Security) notify.MailServer {
	return notify.MailServer{
		Address: b.address, Security: security, TLS: &tls.Config{RootCAs: b.roots}, User: "naru", Password: secret.New("PASSWORD-1"), From: "naru <naru@example.com>",
	}
}

type visit struct {
	box  *mailbox
	conn *smtp.Conn
	l    letter
}

func (v *visit) AuthMechanisms() []string {
	if v.box.login {
		return []string{"CRAM-MD5", "LOGIN"}
	}
	return []string{sasl.Plain}
}

func (v *visit) Auth(string) (sasl.Server, error) {
	check := func(user, password string) error {
		v.box.mu.Lock()
		defer v.box.mu.Unlock()
		v.box.user = user
		if password != "PASSWORD-1" {
			return &smtp.SMTPError{Code: 535, Message: "PASSWORD-1x is wrong, " + password + " too"}
		}
		return nil
	}
	if v.box.login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

// loginServer is the other side of AUTH LOGIN.
type loginServer struct {
	check func(user, password string) error
	step  int
	user  string
}

func (s *loginServer) Next(in []byte) ([]byte, bool, error) {
	s.step++
	switch s.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		s.user = string(in)
		return []byte("Password:"), false, nil
	}
	return nil, true, s.check(s.user, string(in))
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error { v.l.from = from; return nil }

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	if v.box.refuse != nil {
		return v.box.refuse
	}
	v.l.to = append(v.l.to, to)
	return nil
}

func (v *visit) Data(r io.Reader) (err error) {
	if v.l.text, err = io.ReadAll(r); err != nil {
		return err
	}
	_, v.l.tls = v.conn.TLSConnectionState()
	v.box.mu.Lock()
	defer v.box.mu.Unlock()
	v.box.got = append(v.box.got, v.l)
	return nil
}

func (v *visit) Reset()        { v.l = letter{} }
func (v *visit) Logout() error { return nil }

func (b *mailbox) only(t *testing.T) letter {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) != 1 {
		t.Fatalf("%d mails arrived, want 1", len(b.got))
	}
	return b.got[0]
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func newMail(t *testing.T, s notify.MailServer, to ...string) *notify.Mail {
	t.Helper()
	m, err := notify.NewMail(s, to)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMailArrives(t *testing.T) {
	for name, tc := range map[string]struct {
		security notify.Security
		login    bool
	}{"STARTTLS": {notify.StartTLS, false}, "TLS": {notify.TLS, false}, "in clear, on this machine": {notify.Plaintext, false}, "AUTH LOGIN": {notify.StartTLS, true}, "AUTH LOGIN in TLS": {notify.TLS, true}} {
		t.Run(name, func(t *testing.T) {
			box := openMailbox(t, tc.security, func(b *mailbox) { b.login = tc.login })
			send(t, newMail(t, box.server(tc.security), "Team <team@example.com>", "boss@example.com"), message(alert("profile", "shop", "page")))
			got := box.only(t)
			if got.from != "naru@example.com" || strings.Join(got.to, " ") != "team@example.com boss@example.com" || box.user != "naru" {
				t.Errorf("from %s to %v by %s", got.from, got.to, box.user)
			}
			if got.tls != (tc.security != notify.Plaintext) {
				t.Errorf("over TLS: %t", got.tls)
			}
			msg := parse(t, got.text)
			if s := msg.Header.Get("Subject"); s != "[FIRING:1] shop" {
				t.Errorf("subject %q", s)
			}
			plain, html := bodies(t, msg)
			for _, want := range []string{"FIRING  profile", "2.7 % of 10000 events", "https://naru.example.com/apps/shop", "since   2026-11-21T12:00:00Z"} {
				if !strings.Contains(plain, want) {
					t.Errorf("%q is not in\n%s", want, plain)
				}
			}
			if !strings.Contains(html, `<a href="https://naru.example.com/apps/shop">`) {
				t.Errorf("no link in\n%s", html)
			}
		})
	}
}

func parse(t *testing.T, text []byte) *mail.Message {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func bodies(t *testing.T, msg *mail.Message) (plain, html string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(msg.Body, params["boundary"])
	for _, into := range []*string{&plain, &html} {
		p, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		*into = string(text)
	}
	return plain, html
}

// What is in an alert begins no header, no mail and no element of HTML.
func TestHostileMail(t *testing.T) {
	box := openMailbox(t, notify.StartTLS, nil)
	a := alert("x\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>", "shop", "page")
	a.Summary = "line\r\n.\r\nMAIL FROM:<evil@example.com>\r\n" + "<img src=x onerror=y> \xff\x00 ü"
	a.Link = "javascript:alert(1)"
	m := message(a)
	m.Group = map[string]string{"alertname": a.Labels["alertname"]}
	send(t, newMail(t, box.server(notify.StartTLS), "team@example.com"), m)
	msg := parse(t, box.only(t).text)
	if msg.Header.Get("Bcc") != "" {
		t.Error("a header was made")
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != "[FIRING:1] x Bcc: victim@example.com <script>alert(1)</script>" {
		t.Errorf("subject %q, %v", subject, err)
	}
	plain, html := bodies(t, msg)
	if !strings.Contains(plain, "MAIL FROM:<evil@example.com>") {
		t.Errorf("the text ended early:\n%s", plain)
	}
	for _, bad := range []string{"<script", "<img", `href="javascript:`} {
		if strings.Contains(html, bad) {
			t.Errorf("%s is in\n%s", bad, html)
		}
	}
}

func TestMailRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		code      int
		permanent bool
	}{"no such user": {550, true}, "try later": {451, false}} {
		box := openMailbox(t, notify.StartTLS, func(b *mailbox) { b.refuse = &smtp.SMTPError{Code: tc.code, Message: name} })
		err := newMail(t, box.server(notify.StartTLS), "team@example.com").Send(t.Context(), message(alert("a", "shop", "page")))
		if err == nil || notify.IsPermanent(err) != tc.permanent || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: permanent %t: %v", name, notify.IsPermanent(err), err)
		}
	}

	box := openMailbox(t, notify.Plaintext, nil) // offers no STARTTLS
	err := newMail(t, box.server(notify.StartTLS), "team@example.com").Send(t.Context(), message(alert("a", "shop", "page")))
	if err == nil || !strings.Contains(err.Error(), "nothing is sent in clear") || len(box.got) != 0 {
		t.Errorf("without STARTTLS: %v", err)
	}

	box = openMailbox(t, notify.TLS, nil)
	s := box.server(notify.TLS)
	s.TLS = nil // an authority nobody knows
	var unknown *tls.CertificateVerificationError
	if err := newMail(t, s, "team@example.com").Send(t.Context(), message(alert("a", "shop", "page"))); !errors.As(err, &unknown) {
		t.Errorf("a certificate of nobody: %v", err)
	}

	box = openMailbox(t, notify.TLS, nil)
	s = box.server(notify.TLS)
	s.Password = secret.New("WRONG-ONE")
	err = newMail(t, s, "team@example.com").Send(t.Context(), message(alert("a", "shop", "page")))
	if err == nil || !notify.IsPermanent(err) || strings.Contains(err.Error(), "WRONG-ONE") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestMailServersAreChecked(t *testing.T) {
	good := notify.MailServer{Address: "mail.example.com:587", Security: notify.StartTLS, From: "naru@example.com"}
	for name, change := range map[string]func(*notify.MailServer){
		"no port":             func(s *notify.MailServer) { s.Address = "mail.example.com" },
		"port 0":              func(s *notify.MailServer) { s.Address = "mail.example.com:0" },
		"no security":         func(s *notify.MailServer) { s.Security = "" },
		"nobody":              func(s *notify.MailServer) { s.From = "nobody" },
		"two headers":         func(s *notify.MailServer) { s.From = "a@example.com\r\nBcc: b@example.com" },
		"a password in clear": func(s *notify.MailServer) { s.Security, s.User = notify.Plaintext, "naru" },
	} {
		s := good
		change(&s)
		if _, err := notify.NewMail(s, []string{"team@example.com"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, to := range [][]string{nil, {"team"}, {"a@example.com\r\nBcc: b@example.com"}, make([]string, 51)} {
		if _, err := notify.NewMail(good, to); !fault.Is(err, fault.Invalid) {
			t.Errorf("to %q: %v", to, err)
		}
	}
}
