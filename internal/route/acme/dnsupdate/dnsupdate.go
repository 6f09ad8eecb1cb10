// Package dnsupdate changes TXT records of a zone by dynamic updates (RFC 2136)
// that are signed with a shared key (TSIG).
package dnsupdate

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"naru/internal/secret"
)

// Algorithms are the names of those that updates are signed with.
var Algorithms = []string{"hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1"}

const (
	ttl      = 60 // seconds that others may keep a record
	exchange = 10 * time.Second
	poll     = 500 * time.Millisecond
	fudge    = 300 // seconds that clocks may differ, as RFC 8945 has it
)

// Config says which zone is changed, where and as whom.
type Config struct {
	Server    string // IP:PORT of the zone's primary server, which takes updates
	Zone      string // whose names can be changed
	KeyName   string
	Algorithm string // one of Algorithms
	Secret    secret.Secret
	Shown     []string // IP:PORT of the servers that have to show a change; none: Server
}

// Client changes records.
type Client struct{ cfg Config }

// New makes a client; it speaks with nobody yet.
func New(cfg Config) *Client {
	cfg.Zone, cfg.KeyName = dns.CanonicalName(cfg.Zone), dns.CanonicalName(cfg.KeyName)
	if len(cfg.Shown) == 0 {
		cfg.Shown = []string{cfg.Server}
	}
	return &Client{cfg}
}

var inKeyFile = regexp.MustCompile(`secret\s+"([^"]*)"`)

// ParseSecret reads what a key file holds: the key in base64, alone or in the form
// that BIND's tsig-keygen prints.
func ParseSecret(text string) (secret.Secret, error) {
	if m := inKeyFile.FindStringSubmatch(text); m != nil {
		text = m[1]
	}
	text = strings.TrimSpace(text)
	if raw, err := base64.StdEncoding.DecodeString(text); err != nil || len(raw) == 0 {
		return secret.Secret{}, errors.New("it holds no key in base64")
	}
	return secret.New(text), nil
}

// In reports whether a name is in the zone.
func (c *Client) In(name string) bool { return dns.IsSubDomain(c.cfg.Zone, dns.CanonicalName(name)) }

// Zone is the zone, without the final dot.
func (c *Client) Zone() string { return strings.TrimSuffix(c.cfg.Zone, ".") }

// Add puts a TXT record beside those of its name.
func (c *Client) Add(ctx context.Context, name, value string) error {
	m := c.update()
	m.Insert([]dns.RR{record(name, value)})
	return c.send(ctx, m, "add", name)
}

// Remove takes a TXT record away. One that is not there is no error.
func (c *Client) Remove(ctx context.Context, name, value string) error {
	m := c.update()
	m.Remove([]dns.RR{record(name, value)})
	return c.send(ctx, m, "remove", name)
}

// Await returns when all servers show the record; at the end of ctx it says which
// one does not.
func (c *Client) Await(ctx context.Context, name, value string) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	left := slices.Clone(c.cfg.Shown)
	for {
		left = slices.DeleteFunc(left, func(server string) bool { return shows(ctx, server, name, value) })
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the name server %s does not show the TXT record %s: %w", left[0], name, ctx.Err())
		case <-tick.C:
		}
	}
}

func record(name, value string) *dns.TXT {
	return &dns.TXT{Hdr: dns.RR_Header{Name: dns.CanonicalName(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: ttl}, Txt: []string{value}}
}

func (c *Client) update() *dns.Msg { return new(dns.Msg).SetUpdate(c.cfg.Zone) }

// send signs an update, and believes only an answer that is signed, too.
func (c *Client) send(ctx context.Context, m *dns.Msg, act, name string) error {
	algorithm := dns.Fqdn(c.cfg.Algorithm)
	m.SetTsig(c.cfg.KeyName, algorithm, fudge, time.Now().Unix())
	client := dns.Client{Net: "tcp", Timeout: exchange, TsigSecret: map[string]string{c.cfg.KeyName: c.cfg.Secret.Reveal()}}
	answer, _, err := client.ExchangeContext(ctx, m, c.cfg.Server)
	switch {
	case answer != nil && answer.Rcode != dns.RcodeSuccess:
		err = fmt.Errorf("the name server answers %s", refusal(answer))
	case err == nil && answer.IsTsig() == nil:
		err = errors.New("the answer is not signed")
	}
	if err != nil {
		return fmt.Errorf("%s TXT record %s at %s: %w", act, name, c.cfg.Server, err)
	}
	return nil
}

// refusal names why an update was not taken.
func refusal(answer *dns.Msg) string {
	text := dns.RcodeToString[answer.Rcode]
	if t := answer.IsTsig(); t != nil && t.Error != dns.RcodeSuccess {
		text += " (" + dns.RcodeToString[int(t.Error)] + ")"
	}
	return text
}

// shows reports whether a server has the record.
func shows(ctx context.Context, server, name, value string) bool {
	m := new(dns.Msg).SetQuestion(dns.CanonicalName(name), dns.TypeTXT)
	m.RecursionDesired = false
	client := dns.Client{Net: "tcp", Timeout: exchange}
	answer, _, err := client.ExchangeContext(ctx, m, server)
	return err == nil && slices.ContainsFunc(answer.Answer, func(r dns.RR) bool {
		t, ok := r.(*dns.TXT)
		return ok && strings.Join(t.Txt, "") == value
	})
}
