package config

import (
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"time"
)

// Alerts says how budgets are watched, and how people are told.
type Alerts struct {
	Interval   time.Duration `key:"interval" doc:"how often objectives are looked at"`
	Wait       time.Duration `key:"wait" doc:"time after the first alert of an app in which others join the same message"`
	News       time.Duration `key:"news" doc:"least time between two messages about an app, where there is something new"`
	Repeat     time.Duration `key:"repeat" doc:"time after which people are told again of what still fires"`
	Receivers  int           `key:"receivers" doc:"most receivers of a space, of an organisation, and of the platform"`
	Silences   int           `key:"silences" doc:"most silences at once of a space, of an organisation, and of the platform"`
	Deliveries int           `key:"deliveries" doc:"lines kept of the log of deliveries; none is older than 30 days"`
	Local      bool          `key:"receivers_local" doc:"receivers may be this machine, its link and its instances too; whoever may add a receiver can then reach what listens there for nobody else"`
	PagerDuty  string        `key:"pagerduty" doc:"URL that takes events of PagerDuty's Events API v2, as https://events.eu.pagerduty.com/v2/enqueue; empty means PagerDuty's in the USA"`
}

// Mail is the server that mail to people is given to.
type Mail struct {
	Server       string   `key:"server" doc:"server that takes mail, as HOST:PORT; empty sends none"`
	Security     string   `key:"security" doc:"how it is spoken to: starttls, tls (from the first byte), or none, for a relay on this machine or a private network"`
	User         string   `key:"user" doc:"name to log in with; empty logs in nowhere"`
	PasswordFile string   `key:"password_file" doc:"file with the password"`
	From         string   `key:"from" doc:"sender, as naru@example.com or Naru <naru@example.com>"`
	Hello        string   `key:"hello" doc:"name that this machine gives itself; empty means localhost"`
	ToDomains    []string `key:"to_domains" doc:"domains whose addresses receivers may have; empty means all"`
}

func (a Alerts) complaints() []error {
	list := []error{
		webURL("alerts.pagerduty", a.PagerDuty),
		within("alerts.receivers", a.Receivers, 1, 10_000), within("alerts.silences", a.Silences, 1, 10_000), within("alerts.deliveries", a.Deliveries, 1, 1_000_000),
	}
	if a.Interval < time.Second || a.Interval > 5*time.Minute {
		list = append(list, fmt.Errorf("alerts.interval: must be from 1s to 5m (got %s)", shortDuration(a.Interval)))
	}
	if a.Repeat < a.News {
		list = append(list, fmt.Errorf("alerts.repeat: must not be below alerts.news, %s (got %s)", shortDuration(a.News), shortDuration(a.Repeat)))
	}
	return list
}

func (m Mail) complaints() []error {
	list := []error{oneOf("mail.security", m.Security, "starttls", "tls", "none")}
	if m.PasswordFile != "" {
		list = append(list, absolute("mail.password_file", m.PasswordFile))
	}
	for _, d := range m.ToDomains {
		list = append(list, domain("mail.to_domains", d))
	}
	if m.Server == "" {
		return list
	}
	host, port, err := net.SplitHostPort(m.Server)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || perr != nil || n == 0 {
		list = append(list, fmt.Errorf("mail.server: must be HOST:PORT, such as mail.example.com:587 (got %q)", m.Server))
	}
	if _, err := mail.ParseAddress(m.From); err != nil {
		list = append(list, fmt.Errorf("mail.from: must be a mail address, such as naru@example.com (got %q)", m.From))
	}
	return list
}
