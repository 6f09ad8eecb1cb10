//go:build linux

package server

import (
	"os"
	"strings"

	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/operate/notify"
	"naru/internal/secret"
)

// mailServer is the configured one with its password; false where there is none.
func mailServer(m config.Mail) (notify.MailServer, bool, error) {
	s := notify.MailServer{Address: m.Server, Security: notify.Security(m.Security), User: m.User, From: m.From, Hello: m.Hello}
	if m.Server == "" {
		return s, false, nil
	}
	if m.PasswordFile != "" {
		text, err := os.ReadFile(m.PasswordFile)
		if err != nil {
			return s, true, fault.New(fault.Invalid, "mail.password_file", "cannot read %s", m.PasswordFile).WithCause(err)
		}
		s.Password = secret.New(strings.TrimRight(string(text), "\r\n"))
	}
	return s, true, s.Check("mail")
}
