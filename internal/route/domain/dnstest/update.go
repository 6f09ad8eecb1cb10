package dnstest

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Updates are the changes that were made, as "+NAME VALUE" and "-NAME VALUE".
func (s *Server) Updates() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.updates)
}

// TXT is what stands at a name.
func (s *Server) TXT(name string) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, record := range s.records[dns.CanonicalName(name)] {
		if txt, ok := record.(*dns.TXT); ok {
			all = append(all, strings.Join(txt.Txt, ""))
		}
	}
	return all
}

// update carries out what RFC 2136 asks for, as far as TXT records go, for who
// signed it.
func (s *Server) update(w dns.ResponseWriter, r *dns.Msg) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(r)
	key := r.IsTsig()
	if key == nil || w.TsigStatus() != nil {
		m.Rcode = dns.RcodeNotAuth
		return m
	}
	m.SetTsig(key.Hdr.Name, key.Algorithm, 300, time.Now().Unix())
	if s.zone == "" || len(r.Question) != 1 || dns.CanonicalName(r.Question[0].Name) != s.zone {
		m.Rcode = dns.RcodeNotZone
		return m
	}
	for _, record := range r.Ns {
		txt, ok := record.(*dns.TXT)
		name := dns.CanonicalName(record.Header().Name)
		switch {
		case !ok || !dns.IsSubDomain(s.zone, name):
			m.Rcode = dns.RcodeRefused
		case record.Header().Class == dns.ClassNONE:
			s.records[name] = slices.DeleteFunc(s.records[name], func(have dns.RR) bool {
				other, ok := have.(*dns.TXT)
				return ok && slices.Equal(other.Txt, txt.Txt)
			})
			s.updates = append(s.updates, "-"+name+" "+strings.Join(txt.Txt, ""))
		default:
			s.records[name] = append(s.records[name], txt)
			s.updates = append(s.updates, "+"+name+" "+strings.Join(txt.Txt, ""))
		}
	}
	return m
}
