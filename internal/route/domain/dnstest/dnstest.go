// Package dnstest is a name server for tests, on loopback, that knows what it is
// told.
package dnstest

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server answers over UDP and TCP at one address. It is authoritative for
// everything.
type Server struct {
	Addr string // IP:PORT

	mu      sync.Mutex // guards what follows
	records map[string][]dns.RR
	broken  map[string]bool
	asked   int
	updates []string // that were carried out
	zone    string   // that takes signed updates; "": none does
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{records: map[string][]dns.RR{}, broken: map[string]bool{}}
	s.Addr = s.serve(t, nil)
	return s
}

// NewPrimary starts a server that takes updates of a zone which are signed with a
// key, whose secret is in base64.
func NewPrimary(t testing.TB, zone, key, secret string) *Server {
	t.Helper()
	s := &Server{records: map[string][]dns.RR{}, broken: map[string]bool{}, zone: dns.CanonicalName(zone)}
	s.Addr = s.serve(t, map[string]string{dns.CanonicalName(key): secret})
	return s
}

func (s *Server) serve(t testing.TB, keys map[string]string) string {
	t.Helper()
	packets, stream := listen(t)
	accept := func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // updates, too
	for _, srv := range []*dns.Server{
		{PacketConn: packets, Handler: s, TsigSecret: keys, MsgAcceptFunc: accept},
		{Listener: stream, Handler: s, TsigSecret: keys, MsgAcceptFunc: accept},
	} {
		begun, ended := make(chan struct{}), make(chan error, 1)
		srv.NotifyStartedFunc = func() { close(begun) }
		go func() { ended <- srv.ActivateAndServe() }()
		<-begun
		t.Cleanup(func() {
			if err := errors.Join(srv.Shutdown(), <-ended); err != nil {
				t.Error(err)
			}
		})
	}
	return stream.Addr().String()
}

// listen finds a port that is free for both.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 100 {
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", stream.Addr().String())
		if err == nil {
			return packets, stream
		}
		if err := stream.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// Set puts records, as in a zone file, in place of those of their names. Those of
// "*." are for all other names.
func (s *Server) Set(t testing.TB, lines ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := map[string][]dns.RR{}
	for _, line := range lines {
		record, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.ToLower(record.Header().Name)
		fresh[name] = append(fresh[name], record)
	}
	for name, records := range fresh {
		s.records[name] = records
	}
}

// Remove forgets the records of names.
func (s *Server) Remove(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		delete(s.records, dns.Fqdn(name))
	}
}

// Break has it answer SERVFAIL for a name.
func (s *Server) Break(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[dns.Fqdn(name)] = true
}

// Asked is how many questions there were.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// ServeDNS answers, over UDP only as much as the client takes.
func (s *Server) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	if r.Opcode == dns.OpcodeUpdate {
		_ = w.WriteMsg(s.update(w, r))
		return
	}
	m := s.answer(r)
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if opt := r.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		m.Truncate(size)
	}
	_ = w.WriteMsg(m) // a client that is gone asks again
}

func (s *Server) answer(r *dns.Msg) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	m := new(dns.Msg).SetReply(r)
	m.Authoritative = true
	name := strings.ToLower(r.Question[0].Name)
	if s.broken[name] {
		m.Rcode = dns.RcodeServerFailure
		return m
	}
	for range 8 { // CNAMEs
		records := s.records[name]
		if len(records) == 0 {
			records = s.records["*."]
		}
		if len(records) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		next := ""
		for _, record := range records {
			alias, ok := record.(*dns.CNAME)
			if ok || record.Header().Rrtype == r.Question[0].Qtype {
				m.Answer = append(m.Answer, record)
			}
			if ok {
				next = strings.ToLower(alias.Target)
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	return m
}
