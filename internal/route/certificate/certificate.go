// Package certificate holds the certificates a gateway serves and chooses one
// by the name a client asks for.
package certificate

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"naru/internal/atomicfile"
)

// maxFile bounds a kept set, like a message of the stream.
const maxFile = 64 << 20

// Set is all certificates a gateway serves. Where two are for the same name the
// first is taken.
type Set struct {
	Version uint64 `json:"version"` // rises with every change
	Pairs   []Pair `json:"pairs"`
	// Nameless is the name whose certificate answers clients that name nobody; "":
	// the first of all.
	Nameless string `json:"nameless,omitempty"`
	// Answers are for authorities that are being asked for certificates.
	Answers Answers `json:"answers,omitzero"`
}

// Pair is a certificate chain, its own certificate first, and its private key,
// both in PEM form. It serves the DNS names of its first certificate, or those
// of them that it names.
type Pair struct {
	Chain []byte   `json:"chain"`
	Key   []byte   `json:"key"`
	Names []string `json:"names,omitempty"` // what it serves, where that is not all that it is for
}

// Equal reports whether both are the same pair for the same names.
func (p Pair) Equal(q Pair) bool {
	return bytes.Equal(p.Chain, q.Chain) && bytes.Equal(p.Key, q.Key) && slices.Equal(p.Names, q.Names)
}

// String keeps the key out of logs.
func (p Pair) String() string { return fmt.Sprintf("certificate of %d bytes", len(p.Chain)) }

// GoString keeps the key out of logs.
func (p Pair) GoString() string { return p.String() }

// Shelf has the set in use. The zero value has none and keeps nothing.
type Shelf struct {
	path string
	now  atomic.Pointer[index]
}

type index struct {
	version uint64
	byName  map[string]*tls.Certificate
	first   *tls.Certificate

	tokens map[string]string           // of HTTP-01
	proofs map[string]*tls.Certificate // of TLS-ALPN-01, by name
}

// Open takes up the set kept in path; a file that is not there is an empty set.
// Sets that Use takes are written to it, mode 0600. With "" nothing is kept.
// The shelf works also where an error says that the kept set cannot be read.
func Open(path string) (*Shelf, error) {
	s := &Shelf{path: path}
	if path == "" {
		return s, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("%d bytes are over the limit of %d", info.Size(), maxFile)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	var set Set
	if err == nil {
		err = json.Unmarshal(data, &set)
	}
	if err == nil {
		err = s.put(&set)
	}
	if err != nil {
		return s, fmt.Errorf("read kept certificates %s: %w", path, err)
	}
	return s, nil
}

// Use makes a set the one that new connections are served from; those that
// exist go on. A set with a pair that does not fit together is not taken. A set
// that cannot be kept is used all the same, and the error says so.
func (s *Shelf) Use(set *Set) error {
	if err := s.put(set); err != nil {
		return err
	}
	if s.path == "" {
		return nil
	}
	data, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("encode certificates: %w", err)
	}
	return atomicfile.Write(s.path, data, 0o600)
}

func (s *Shelf) put(set *Set) error {
	in := &index{version: set.Version, byName: map[string]*tls.Certificate{}}
	for i, p := range set.Pairs {
		cert, err := tls.X509KeyPair(p.Chain, p.Key)
		if err != nil {
			return fmt.Errorf("certificate %d of set %d: %w", i+1, set.Version, err)
		}
		if in.first == nil {
			in.first = &cert
		}
		names := p.Names
		if len(names) == 0 {
			names = cert.Leaf.DNSNames
		}
		for _, name := range names {
			name = strings.ToLower(name)
			if in.byName[name] == nil {
				in.byName[name] = &cert
			}
		}
	}
	var err error
	if in.tokens = set.Answers.Tokens; len(set.Answers.Proofs) > 0 {
		if in.proofs, err = proofs(set.Answers.Proofs); err != nil {
			return fmt.Errorf("proofs of set %d: %w", set.Version, err)
		}
	}
	if cert := in.byName[set.Nameless]; cert != nil {
		in.first = cert
	}
	s.now.Store(in)
	return nil
}

// Version is that of the set in use, 0 before there is one.
func (s *Shelf) Version() uint64 {
	if in := s.now.Load(); in != nil {
		return in.version
	}
	return 0
}

// For chooses by the name the client asked for: the exact name, then the
// wildcard over it. A name nobody has a certificate for is refused as an
// unrecognized name: a certificate of somebody else would only look like an
// attack. It is made for tls.Config.GetCertificate.
func (s *Shelf) For(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	in := s.now.Load()
	if in == nil {
		return nil, nil // crypto/tls answers unrecognized_name
	}
	if !proving(hello) && (hello.ServerName == "" || isAddress(hello.ServerName)) {
		return in.first, nil
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if proving(hello) {
		return in.proofs[name], nil
	}
	if cert := in.byName[name]; cert != nil {
		return cert, nil
	}
	_, parent, _ := strings.Cut(name, ".")
	return in.byName["*."+parent], nil
}

// isAddress tells that a client named an address, which RFC 6066 does not allow
// and some do all the same: it says no more than no name.
func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}
