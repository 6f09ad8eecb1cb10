package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"naru/internal/client"
)

// The drill: a release that fails for everybody spends the error budget. Somebody
// gets a mail, features are refused, the fix passes, the mail says that it is over,
// and with the next period of the budget features pass again. The control plane
// dies while the alert is on its way.
//
// The budget that is spent is that of a day which ends in a few minutes, so that the
// new period need not be waited for; nobody is told of it, for the alerts of a day
// end minutes after the trouble. Another objective, of an hour, alarms. Guards are
// off, else the release went back by itself.
func TestDrill(t *testing.T) {
	slow(t)
	t.Parallel()
	box := openMailbox(t)
	p := start(t, "NARU_METRICS_INTERVAL=1s", "NARU_ALERTS_INTERVAL=1s", "NARU_ALERTS_WAIT=3s", "NARU_ALERTS_NEWS=3s",
		"NARU_MAIL_SERVER="+box.address, "NARU_MAIL_SECURITY=none", "NARU_MAIL_FROM=naru@example.com")
	dir := compiled(t, "steady")
	push := func(release, fails string, more ...string) []string {
		return append([]string{"push", "shop", "--path", dir, "--memory", "64M", "--env", "RELEASE=" + release, "--env", "FAILS=" + fails,
			"--health-check", "http", "--health-path", "/health", "--strategy", "highlander", "--no-guard", "--keep-old", "0s"}, more...)
	}
	p.admin.do(t, push("good", "0")...)
	p.crowd(t, "shop")

	p.admin.do(t, "receiver", "add", "team", "--mail", "team@example.com", "--severity", "page")
	mustSay(t, p.admin.do(t, "receivers"), "team", "team@example.com", "page")
	mustSay(t, p.admin.do(t, "receiver", "test", "team"), "team took the message in", "250 ")
	mustSay(t, box.wait(t, "a test", "Subject: [FIRING:1] test of naru"), "admin tries whether alerts of naru arrive at team")

	end := promise(t, dir)
	p.admin.do(t, push("good", "0")...)
	mustSay(t, p.admin.do(t, "slo", "shop"), "pages", "85 %", "strict", "99.99 %")
	p.admin.do(t, "silence", "add", "--match", "objective=strict", "--for", "1h", "--reason", "pages tells, and ends earlier")
	mustSay(t, p.admin.do(t, "silences"), "objective=strict", "pages tells")
	p.admin.do(t, push("bad", "1")...)

	eventually(t, 4*time.Minute, "the alert fires", func() error {
		var all client.Alerts
		out, _ := p.admin.run(t, "", "alerts", "shop", "--json")
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		for _, a := range all.Items {
			if a.State == "firing" && a.Severity == "page" && a.Objective == "pages" {
				return nil
			}
		}
		return fmt.Errorf("alerts are %+v", all)
	})
	p.kill(t, "naru", "server")
	told := box.wait(t, "the alert", "Subject: [FIRING:1] shop default dev")
	t.Logf("the mail:\n%s", told)
	mustSay(t, told, "FIRING  pages", "pages of shop: ", "the budget goes ", "budget  ", "before  release v3 began to replace what ran", "try     naru slo shop --org default --space dev", "naru why shop")
	mustSay(t, p.admin.do(t, "alerts", "shop"), "firing", "page-slow", "somebody has to look now", "release v3")
	mustSay(t, p.admin.do(t, "events", "--app", "shop"), "alert.firing")
	mustSay(t, p.admin.do(t, "deliveries"), "team", "[FIRING:1] shop default dev", "arrived")

	// Frozen: features are refused, with the numbers and the two ways out. Where the
	// period ends just now the next one has to be spent first.
	eventually(t, 2*time.Minute, "the period goes on", func() error {
		if left := time.Until(end); left > -20*time.Second && left < 20*time.Second {
			return fmt.Errorf("it ends in %s", left)
		}
		return nil
	})
	p.admin.refused(t, push("feature", "0"), "the error budget of shop is spent: strict", "--reliability-fix", "naru policy override shop")
	p.admin.do(t, push("good", "0", "--reliability-fix")...)
	mustSay(t, p.admin.do(t, "events", "--app", "shop"), "push.refused", "budget.tier")

	over := box.wait(t, "the end of the alert", "Subject: [RESOLVED] shop default dev")
	mustSay(t, over, "RESOLVED  pages", "ended   ")
	mustSay(t, p.admin.do(t, "events", "--app", "shop"), "alert.resolved")

	// Thawed: what was spent was of a period that is over. On a machine so slow that
	// it ended before the fix, another one is promised.
	if time.Until(end) < 30*time.Second {
		end = promise(t, dir)
		p.admin.do(t, push("good", "0", "--reliability-fix")...)
	}
	p.admin.refused(t, push("feature", "0"), "the error budget of shop is spent: strict")
	eventually(t, time.Until(end)+3*time.Minute, "the budget of the next period", func() error {
		if out, code := p.admin.run(t, "", push("feature", "0")...); code != 0 {
			return fmt.Errorf("refused: %s", lastLines(out, 3))
		}
		return nil
	})
	if ids := box.messages("Subject: [FIRING:1] shop"); len(ids) != 1 {
		t.Errorf("people were told %d times that it fires, want once: %v", len(ids), ids)
	}
	p.admin.do(t, "delete", "shop", "--yes")
}

// promise writes a manifest with an objective whose present period ends between two
// and a half and three and a half minutes from now.
func promise(t *testing.T, dir string) (end time.Time) {
	t.Helper()
	end = time.Now().UTC().Add(210 * time.Second).Truncate(time.Minute)
	text := `applications:
- name: shop
  naru:
    objectives:
    - name: pages
      kind: availability
      target: 85%
      window: 1h
    - name: strict
      kind: availability
      target: 99.99%
      window: day from ` + end.AddDate(0, 0, -7).Format("2006-01-02T15:04") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "manifest.yml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return end
}

// mailbox is a mail server that keeps what it is given.
type mailbox struct {
	address string

	mu    sync.Mutex // guards mails
	mails []string
}

func openMailbox(t *testing.T) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &mailbox{address: l.Addr().String()}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &letter{box: b}, nil }))
	s.Domain = "mail.example.com"
	go func() { _ = s.Serve(l) }() // it ends when it is closed
	t.Cleanup(func() { _ = s.Close() })
	return b
}

// wait is the first mail that has some words in its head, once it is there.
func (b *mailbox) wait(t *testing.T, what, words string) (mail string) {
	t.Helper()
	eventually(t, 3*time.Minute, what+" in the mailbox", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, m := range b.mails {
			if strings.Contains(m, words) {
				mail = m
				return nil
			}
		}
		return fmt.Errorf("there are %d mails: %q", len(b.mails), b.mails)
	})
	return mail
}

var messageID = regexp.MustCompile(`(?m)^Message-ID: (\S+)`)

// messages are the ids of mails with some words in their head. One that was sent
// again, because nobody knew whether it had arrived, has the id that it had.
func (b *mailbox) messages(words string) map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := map[string]bool{}
	for _, m := range b.mails {
		if strings.Contains(m, words) {
			ids[messageID.FindStringSubmatch(m)[1]] = true
		}
	}
	return ids
}

// letter is one conversation with a mailbox.
type letter struct {
	box      *mailbox
	from, to string
}

func (l *letter) Mail(from string, _ *smtp.MailOptions) error { l.from = from; return nil }
func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error   { l.to = to; return nil }
func (l *letter) Reset()                                      {}
func (l *letter) Logout() error                               { return nil }

func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if l.from != "naru@example.com" || l.to != "team@example.com" {
		return &smtp.SMTPError{Code: 550, Message: fmt.Sprintf("from %s to %s", l.from, l.to)}
	}
	l.box.mu.Lock()
	defer l.box.mu.Unlock()
	l.box.mails = append(l.box.mails, strings.ReplaceAll(string(text), "=\r\n", ""))
	return nil
}
