package bakefix

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"naru/internal/build/bake/deb"
)

// longAgo dates keys and signatures, so that tests may live at any time since.
var longAgo = &packet.Config{Time: func() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }}

// Archive is a small signed Debian archive behind HTTP.
type Archive struct {
	URL    string
	Public []byte // the keyring that signs it

	t     testing.TB
	key   *openpgp.Entity
	mu    sync.Mutex // guards files and asked
	files map[string][]byte
	asked map[string]int
}

// NewArchive starts an empty archive with a key of its own.
func NewArchive(t testing.TB) *Archive {
	t.Helper()
	key, err := openpgp.NewEntity("test archive", "", "archive@example.org", longAgo)
	if err != nil {
		t.Fatal(err)
	}
	var pub bytes.Buffer
	if err := key.Serialize(&pub); err != nil {
		t.Fatal(err)
	}
	a := &Archive{t: t, key: key, Public: pub.Bytes(), files: map[string][]byte{}, asked: map[string]int{}}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.URL = s.URL
	return a
}

// ServeHTTP serves the files of the archive.
func (a *Archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	body, ok := a.files[path.Clean(r.URL.Path)]
	a.asked[path.Clean(r.URL.Path)]++
	a.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(body)
}

// Put places a file, also over one that is there: this is how a test damages
// the archive.
func (a *Archive) Put(name string, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files[name] = body
}

// Get returns a file of the archive.
func (a *Archive) Get(name string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.files[name]
}

// Remove takes a file away.
func (a *Archive) Remove(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.files, name)
}

// Asked counts the requests for names that contain part.
func (a *Archive) Asked(part string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for name, times := range a.asked {
		if strings.Contains(name, part) {
			n += times
		}
	}
	return n
}

// Publish fills a suite with packages for amd64 and signs it. extra are further
// lines of the Release file, such as Valid-Until.
func (a *Archive) Publish(suite string, date time.Time, extra string, packages ...Package) {
	a.t.Helper()
	a.publish(suite, date, extra, packages, nil)
}

// PublishAs is Publish with an index that tells of the packages as they are
// before harm changes them: an archive that lies about its own content.
func (a *Archive) PublishAs(suite string, date time.Time, packages []Package, harm func(*Package)) {
	a.t.Helper()
	a.publish(suite, date, "", packages, harm)
}

func (a *Archive) publish(suite string, date time.Time, extra string, packages []Package, harm func(*Package)) {
	a.t.Helper()
	var index strings.Builder
	for _, p := range packages {
		s := deb.Stanza(p.Control)
		told := p.Control
		if harm != nil {
			harm(&p)
		}
		raw := Deb(a.t, p)
		name := fmt.Sprintf("pool/main/%s_%s_%s.deb", s.Get("Package"), s.Get("Version"), s.Get("Architecture"))
		a.Put("/"+name, raw)
		fmt.Fprintf(&index, "%s\nFilename: %s\nSize: %d\nSHA256: %s\n\n",
			strings.TrimSpace(told), name, len(raw), sum(raw))
	}
	plain := []byte(index.String())
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, _ = w.Write(plain)
	_ = w.Close()
	dir := "/dists/" + suite + "/"
	a.Put(dir+"main/binary-amd64/Packages.gz", gz.Bytes())
	a.Put(dir+"main/binary-amd64/by-hash/SHA256/"+sum(gz.Bytes()), gz.Bytes())
	release := fmt.Sprintf("Origin: Test\nSuite: %s\nCodename: %s\nDate: %s\nAcquire-By-Hash: yes\nArchitectures: amd64 arm64\nComponents: main\n%sSHA256:\n %s %d main/binary-amd64/Packages\n %s %d main/binary-amd64/Packages.gz\n",
		suite, suite, date.UTC().Format(time.RFC1123), extra, sum(plain), len(plain), sum(gz.Bytes()), gz.Len())
	a.Put(dir+"InRelease", a.Sign(release))
}

// Sign clear-signs a text with the archive's key.
func (a *Archive) Sign(text string) []byte {
	a.t.Helper()
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, a.key.PrivateKey, longAgo)
	if err != nil {
		a.t.Fatal(err)
	}
	_, _ = w.Write([]byte(text))
	if err := w.Close(); err != nil {
		a.t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// Names lists the files whose name contains part.
func (a *Archive) Names(part string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for name := range a.files {
		if strings.Contains(name, part) {
			all = append(all, name)
		}
	}
	return all
}
