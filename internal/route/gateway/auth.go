package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"naru/internal/fault"
	"naru/internal/route"
	"naru/internal/route/h1"
)

// auth asks for a name and a password. Comparing a password costs as much as
// thousands of requests: what was right once is known again by a keyed hash, and
// what is not known waits in a short line.
type auth struct {
	spec   *route.Auth
	hashes [][]byte // of all users, sorted by name
	key    [32]byte // of the digests; it never leaves the process
	known  atomic.Pointer[map[digest]struct{}]

	turn sync.Mutex // held while a password of this route is compared
	mu   sync.Mutex // guards what follows
	line map[digest]*login
	from map[netip.Prefix]int // of the line: how many one visitor has in it
}

// digest of a name and a password.
type digest [sha256.Size]byte

// login is a name and a password that are being compared.
type login struct {
	done chan struct{} // closed when right is known
	key  digest
	from netip.Prefix
	hash []byte // nobody's, where the user is unknown
	real bool   // the user is known
	pass []byte
	ok   bool // they are right
}

// Bounds of the work that passwords make. A process compares no more of them at
// once than it has processors, halved; a route, one.
const (
	maxLine     = 32               // names and passwords of a route that wait to be compared
	maxFrom     = 4                // of them from one visitor
	loginWait   = 10 * time.Second // for the result
	maxKnown    = 2 * route.MaxUsers
	maxPassword = 72 // bytes; bcrypt reads no more, so more would have many right ones
)

func newAuth(spec *route.Auth) *auth { return &auth{spec: spec} }

func (a *auth) rule() any { return *a.spec }

// ready prepares one that is to be used.
func (a *auth) ready() *auth {
	if a.line != nil {
		return a
	}
	a.line, a.from = map[digest]*login{}, map[netip.Prefix]int{}
	a.known.Store(&map[digest]struct{}{})
	for _, name := range slices.Sorted(maps.Keys(a.spec.Users)) {
		a.hashes = append(a.hashes, []byte(a.spec.Users[name]))
	}
	_, _ = rand.Read(a.key[:]) // it never fails
	return a
}

func (a *auth) pass(x *exchange) (*page, error) {
	var space [1024]byte
	said, ok := credentials(x.req, space[:0])
	if !ok {
		return a.ask(x, "no name and password"), nil
	}
	key := a.digest(said)
	if _, ok := (*a.known.Load())[key]; ok {
		return nil, nil
	}
	l := a.begin(x, key, said)
	if l == nil {
		return a.crowded(x), nil
	}
	switch err := x.await(l.done, loginWait); {
	case errors.Is(err, errLate):
		return a.crowded(x), nil
	case err != nil:
		return nil, err
	case !l.ok:
		return a.ask(x, "wrong name or password"), nil
	}
	return nil, nil
}

// credentials returns what a request says as NAME:PASSWORD, in buf. It must say
// so once: nobody should have to guess which one is meant.
func credentials(req *h1.Request, buf []byte) (said []byte, ok bool) {
	var field []byte
	n := 0
	for i := range req.Fields {
		if f := &req.Fields[i]; f.Kind == h1.Other && equalFold(req.Name(f), "Authorization") {
			field, n = req.Value(f), n+1
		}
	}
	scheme, token, _ := bytes.Cut(field, []byte{' '})
	token = bytes.TrimLeft(token, " ")
	if n != 1 || !equalFold(scheme, "Basic") || base64.StdEncoding.DecodedLen(len(token)) > cap(buf) {
		return nil, false
	}
	said, err := base64.StdEncoding.AppendDecode(buf, token)
	colon := bytes.IndexByte(said, ':')
	// A control character is not allowed (RFC 7617), and bcrypt repeats what ends
	// with a zero: other passwords would be right, too.
	return said, err == nil && colon > 0 && len(said)-colon-1 <= maxPassword &&
		!bytes.ContainsFunc(said, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (a *auth) digest(said []byte) digest {
	var space [32 + 1024]byte
	return sha256.Sum256(append(append(space[:0], a.key[:]...), said...))
}

// begin has a name and a password compared, unless that is being done already;
// nil where the line is full. One visitor cannot fill it alone.
func (a *auth) begin(x *exchange, key digest, said []byte) *login {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.line[key]; l != nil {
		return l
	}
	from := network(x.visitor())
	if len(a.line) >= maxLine || a.from[from] >= maxFrom {
		return nil
	}
	name, password, _ := bytes.Cut(said, []byte{':'})
	hash, known := a.spec.Users[string(name)]
	l := &login{done: make(chan struct{}), key: key, from: from, hash: []byte(hash), real: known, pass: bytes.Clone(password)}
	if !known { // it takes as long as for some user, always the same one
		l.hash = a.hashes[binary.LittleEndian.Uint64(a.nameDigest(name))%uint64(len(a.hashes))]
	}
	a.line[key] = l
	a.from[from]++
	x.g.logins.check(a, l)
	return l
}

func (a *auth) nameDigest(name []byte) []byte {
	sum := sha256.Sum256(slices.Concat(a.key[:], []byte("name:"), name))
	return sum[:8]
}

// network is what one visitor is taken to have of the addresses.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// compare finds out whether a password is right.
func (a *auth) compare(l *login) {
	l.ok = bcrypt.CompareHashAndPassword(l.hash, l.pass) == nil && l.real
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.line, l.key)
	if a.from[l.from]--; a.from[l.from] == 0 {
		delete(a.from, l.from)
	}
	if l.ok {
		a.keep(l.key)
	}
	close(l.done)
}

// keep makes a digest known. The caller holds the lock.
func (a *auth) keep(key digest) {
	next := maps.Clone(*a.known.Load())
	if len(next) >= maxKnown { // several passwords were right for one hash
		clear(next)
	}
	next[key] = struct{}{}
	a.known.Store(&next)
}

// ask asks for name and password.
func (a *auth) ask(x *exchange, why string) *page {
	x.problem = "refused: " + why
	realm := a.spec.Realm
	if realm == "" {
		realm = x.app()
	}
	return &page{
		status: http.StatusUnauthorized, kind: fault.Unauthenticated, title: "Who is there?",
		message: x.app() + " wants a name and a password.",
		fields:  []field{{"WWW-Authenticate", `Basic realm="` + quoted.Replace(realm) + `", charset="UTF-8"`}},
	}
}

// quoted makes a text fit for a quoted string of a header field.
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", " ", "\n", " ")

func (a *auth) crowded(x *exchange) *page {
	x.problem = "too many passwords to compare"
	return &page{
		status: http.StatusServiceUnavailable, kind: fault.Unavailable, title: "Busy",
		message: "Too many names and passwords are being checked at the moment.", retry: 1,
	}
}

// logins bounds the passwords that a process compares at once.
type logins struct {
	slots   chan struct{} // one for each that may be
	running sync.WaitGroup
}

func newLogins(atOnce int) logins { return logins{slots: make(chan struct{}, max(1, atOnce))} }

// check compares in its own time: who waits for the result may leave.
func (s *logins) check(a *auth, l *login) {
	s.running.Go(func() {
		a.turn.Lock()
		defer a.turn.Unlock()
		s.slots <- struct{}{}
		defer func() { <-s.slots }()
		a.compare(l)
	})
}
