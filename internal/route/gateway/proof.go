package gateway

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"

	"naru/internal/fault"
	"naru/internal/route/certificate"
)

// proofProtocol is what authorities speak that want a proof in a handshake.
const proofProtocol = certificate.ProofProtocol

// proof is what an authority is told that asks whether a host is ours; nil for
// every other request, and for tokens that nobody here asked for: the app may
// have.
func (x *exchange) proof() *page {
	if x.g.cfg.Certificates == nil || !strings.HasPrefix(x.path, challenges) || !challenge(x.path) {
		return nil
	}
	said := x.g.cfg.Certificates.Answer(x.host, strings.TrimPrefix(x.path, challenges))
	if said == "" {
		return nil
	}
	return &page{status: http.StatusOK, kind: fault.Kind(""), content: said}
}

// proved ends the connection of an authority: the handshake was all it came for.
func proved(t *tls.Conn, under net.Conn) bool {
	if t.ConnectionState().NegotiatedProtocol != proofProtocol {
		return false
	}
	_ = t.Close()
	_ = under.Close()
	return true
}
