package domain

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Seen is what DNS has of a host.
type Seen struct {
	Record    string       // that has the space's token; "": none has
	Elsewhere string       // that has tokens, and not the space's; "": none has
	Tokens    [][]string   // that stand at each of the records
	Addresses []netip.Addr // of the host, in order
	Problem   string       // why it is not known whether there are records; "": it is
}

// attempt is how long one name server may take for one question; of a long timeout
// a third.
const attempt = 2 * time.Second

// aliases is how many CNAME records are followed.
const aliases = 8

// see asks for tokens and addresses at once.
func (d *Desk) see(ctx context.Context, s Standing) (seen Seen) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-ctx.Done():
		return Seen{Problem: "too many hosts are looked up at the moment"}
	}
	seen.Tokens = make([][]string, len(s.Records))
	problems := make([]error, len(s.Records)+1)
	var group sync.WaitGroup
	for i, name := range s.Records {
		group.Go(func() { seen.Tokens[i], problems[i] = d.dns.tokens(ctx, name) })
	}
	if !strings.HasPrefix(s.Host, "*.") {
		group.Go(func() { seen.Addresses, problems[len(s.Records)] = d.dns.addresses(ctx, s.Host) })
	}
	group.Wait()
	for i, name := range s.Records {
		switch {
		case slices.Contains(seen.Tokens[i], s.Token):
			seen.Record = cmp.Or(seen.Record, name)
		case len(seen.Tokens[i]) > 0:
			seen.Elsewhere = cmp.Or(seen.Elsewhere, name)
		}
	}
	for _, err := range problems {
		if err != nil {
			seen.Problem = cmp.Or(seen.Problem, err.Error())
		}
	}
	return seen
}

// resolver asks recursive name servers.
type resolver struct {
	server  string        // "": those of this machine
	attempt time.Duration // for one question to one of them
}

// tokens are the tokens at a name; what else stands there is left out.
func (r resolver) tokens(ctx context.Context, name string) (all []string, err error) {
	records, err := r.ask(ctx, name, dns.TypeTXT)
	for _, record := range records {
		if txt, ok := record.(*dns.TXT); ok {
			if text := strings.TrimSpace(strings.Join(txt.Txt, "")); written.MatchString(text) {
				all = append(all, text)
			}
		}
	}
	return all, err
}

// addresses are where a host leads, by IPv4 and IPv6.
func (r resolver) addresses(ctx context.Context, host string) (all []netip.Addr, err error) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, err := r.ask(ctx, host, kind)
		if err != nil {
			return nil, err
		}
		for _, record := range records {
			var ip net.IP
			switch record := record.(type) {
			case *dns.A:
				ip = record.A
			case *dns.AAAA:
				ip = record.AAAA
			}
			if a, ok := netip.AddrFromSlice(ip); ok {
				all = append(all, a.Unmap())
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all), nil
}

// ask returns the answer to a question, with the records of the names that it was
// sent on to. A name that does not exist has none.
func (r resolver) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	servers, err := r.servers()
	if err != nil {
		return nil, err
	}
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	question.SetEdns0(1232, false)
	what := dns.TypeToString[kind] + " of " + name
	for _, server := range servers {
		var answer *dns.Msg
		if answer, err = r.exchange(ctx, question, server); err != nil {
			err = fmt.Errorf("the name server %s does not answer for %s", server, what)
			continue
		}
		if answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError {
			return answer.Answer, nil
		}
		err = fmt.Errorf("the name server %s answers %s for %s", server, dns.RcodeToString[answer.Rcode], what)
	}
	return nil, err
}

func (r resolver) exchange(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	question = question.Copy()
	question.Id = dns.Id()
	answer, err := r.one(ctx, "udp", question, server)
	if err != nil || answer.Truncated {
		answer, err = r.one(ctx, "tcp", question, server)
	}
	return answer, err
}

func (r resolver) one(ctx context.Context, network string, question *dns.Msg, server string) (*dns.Msg, error) {
	client := dns.Client{Net: network, Timeout: r.attempt, UDPSize: 1232}
	answer, _, err := client.ExchangeContext(ctx, question, server)
	if err == nil && (len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, question.Question[0].Name) || answer.Question[0].Qtype != question.Question[0].Qtype) {
		err = fmt.Errorf("the answer is to another question")
	}
	return answer, err
}

func (r resolver) servers() ([]string, error) {
	if r.server != "" {
		return []string{r.server}, nil
	}
	conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil || len(conf.Servers) == 0 {
		return nil, fmt.Errorf("this machine has no name server")
	}
	servers := make([]string, 0, len(conf.Servers))
	for _, server := range conf.Servers {
		servers = append(servers, net.JoinHostPort(server, conf.Port))
	}
	return servers, nil
}

// Alias is where CNAME records lead from a name, without the final dot; the name
// itself where there are none.
func (d *Desk) Alias(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	for range aliases {
		records, err := d.dns.ask(ctx, name, dns.TypeCNAME)
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(records, func(r dns.RR) bool {
			return r.Header().Rrtype == dns.TypeCNAME && strings.EqualFold(r.Header().Name, dns.Fqdn(name))
		})
		if i < 0 {
			return name, nil
		}
		name = strings.TrimSuffix(dns.CanonicalName(records[i].(*dns.CNAME).Target), ".")
	}
	return "", fmt.Errorf("more than %d CNAME records lead on from %s", aliases, name)
}
