// Package password finds out whether names and passwords are right. Comparing one
// costs as much as thousands of requests: what was right once is known again by a
// keyed hash, and what is not known waits in a short line.
package password

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"

	"naru/internal/route"
)

// Bounds of the work that passwords make; of one list only one is compared at a
// time.
const (
	maxLine  = 32 // names and passwords of a list that wait to be compared
	maxFrom  = 4  // of them from one visitor
	maxKnown = 2 * route.MaxUsers
)

// List has users who may come in. Its methods may be called by many at once.
type List struct {
	users  map[string]string
	hashes [][]byte // of all users, sorted by name
	key    [32]byte // of the digests; it never leaves the process
	known  atomic.Pointer[map[digest]struct{}]

	turn sync.Mutex // held while a password of this list is compared
	mu   sync.Mutex // guards what follows
	line map[digest]*Try
	from map[netip.Prefix]int // of the line: how many one visitor has in it
}

// digest of a name and a password.
type digest [sha256.Size]byte

// Try is a name and a password that are being compared.
type Try struct {
	list *List
	done chan struct{} // closed when right is known
	key  digest
	from netip.Prefix
	hash []byte // nobody's, where the user is unknown
	real bool   // the user is known
	pass []byte
	ok   bool // they are right
}

// Done is closed when it is known whether they are right.
func (t *Try) Done() <-chan struct{} { return t.done }

// Right reports whether they are, once that is Done.
func (t *Try) Right() bool { return t.ok }

// NewList makes a list of users by their names, with bcrypt hashes of their
// passwords; there is at least one.
func NewList(users map[string]string) *List {
	l := &List{users: users, line: map[digest]*Try{}, from: map[netip.Prefix]int{}}
	l.known.Store(&map[digest]struct{}{})
	for _, name := range slices.Sorted(maps.Keys(users)) {
		l.hashes = append(l.hashes, []byte(users[name]))
	}
	_, _ = rand.Read(l.key[:]) // it never fails
	return l
}

// Known reports whether NAME:PASSWORD, of at most 1 KiB, were right before.
func (l *List) Known(said []byte) bool {
	_, ok := (*l.known.Load())[l.digest(said)]
	return ok
}

func (l *List) digest(said []byte) digest {
	var space [32 + 1024]byte
	return sha256.Sum256(append(append(space[:0], l.key[:]...), said...))
}

// Begin puts NAME:PASSWORD, of at most 1 KiB and with at most route.MaxPassword
// bytes of password, into the line for a visitor; nil where that is full. One
// visitor cannot fill it alone. It is for the caller to have a new one compared; one
// that is not new is being compared already.
func (l *List) Begin(said []byte, from netip.Prefix) (t *Try, isNew bool) {
	key := l.digest(said)
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.line[key]; t != nil {
		return t, false
	}
	if len(l.line) >= maxLine || l.from[from] >= maxFrom {
		return nil, false
	}
	name, password, _ := bytes.Cut(said, []byte{':'})
	hash, known := l.users[string(name)]
	t = &Try{list: l, done: make(chan struct{}), key: key, from: from, hash: []byte(hash), real: known, pass: bytes.Clone(password)}
	if !known { // it takes as long as for some user, always the same one
		t.hash = l.hashes[binary.LittleEndian.Uint64(l.nameDigest(name))%uint64(len(l.hashes))]
	}
	l.line[key] = t
	l.from[from]++
	return t, true
}

func (l *List) nameDigest(name []byte) []byte {
	sum := sha256.Sum256(slices.Concat(l.key[:], []byte("name:"), name))
	return sum[:8]
}

// compare finds out whether a password is right.
func (t *Try) compare() {
	t.ok = bcrypt.CompareHashAndPassword(t.hash, t.pass) == nil && t.real
	l := t.list
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.line, t.key)
	if l.from[t.from]--; l.from[t.from] == 0 {
		delete(l.from, t.from)
	}
	if t.ok {
		l.keep(t.key)
	}
	close(t.done)
}

// keep makes a digest known. The caller holds the lock.
func (l *List) keep(key digest) {
	next := maps.Clone(*l.known.Load())
	if len(next) >= maxKnown { // several passwords were right for one hash
		clear(next)
	}
	next[key] = struct{}{}
	l.known.Store(&next)
}
