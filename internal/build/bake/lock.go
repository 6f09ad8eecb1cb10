package bake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"naru/internal/build/bake/npm"
	"naru/internal/fault"
)

// Lock fixes what a declaration came to, so that it comes to the same again.
type Lock struct {
	Version      int             `json:"version"` // of this format
	Foundation   string          `json:"foundation"`
	Wish         string          `json:"wish"` // hash of the parts of the Spec that decide about packages
	Architecture string          `json:"architecture"`
	Suites       []LockedSuite   `json:"suites"`
	Packages     []LockedPackage `json:"packages"` // by name
	Npm          []npm.Pin       `json:"npm,omitempty"`
}

// LockedSuite is the Release that the packages were chosen from.
type LockedSuite struct {
	URI    string    `json:"uri"`
	Suite  string    `json:"suite"`
	Date   time.Time `json:"date"`
	SHA256 string    `json:"sha256"` // of InRelease
}

// LockedPackage is one .deb.
type LockedPackage struct {
	Name         string   `json:"name"`
	Version      string   `json:"version"`
	Architecture string   `json:"architecture"`
	Suite        int      `json:"suite"` // index in Lock.Suites
	Path         string   `json:"path"`  // below the suite's URI
	SHA256       string   `json:"sha256"`
	Size         int64    `json:"size"`
	Base         bool     `json:"base,omitempty"`      // belongs to the lower layer
	Requested    bool     `json:"requested,omitempty"` // named in the Spec
	Replaces     []string `json:"replaces,omitempty"`  // packages of this lock whose files it takes over
}

const lockVersion = 1

// ParseLock reads a lock file.
func ParseLock(name string, data []byte) (*Lock, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var l Lock
	if err := dec.Decode(&l); err != nil {
		return nil, fault.New(fault.Invalid, name, "not a lock file: %s", err).WithTry("remove it and bake again")
	}
	if l.Version != lockVersion {
		return nil, fault.New(fault.Unsupported, name, "lock file of version %d, this naru knows %d", l.Version, lockVersion).
			WithTry("remove it and bake again")
	}
	if err := l.check(); err != nil {
		return nil, fault.New(fault.Invalid, name, "%s", err).WithTry("remove it and bake again")
	}
	return &l, nil
}

// check refuses what would lead out of the mirror or the cache.
func (l Lock) check() error {
	for _, s := range l.Suites {
		if u, err := url.Parse(s.URI); err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("suite %q: %q is not an http address", s.Suite, s.URI)
		}
	}
	for _, p := range l.Packages {
		if p.Suite < 0 || p.Suite >= len(l.Suites) {
			return fmt.Errorf("package %q is of a suite that the lock does not list", p.Name)
		}
		if !insidePool(p.Path) {
			return fmt.Errorf("package %q has the impossible path %q", p.Name, p.Path)
		}
		if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != sha256.Size || p.Size <= 0 {
			return fmt.Errorf("package %q has no SHA-256 or size", p.Name)
		}
	}
	for _, p := range l.Npm {
		if _, err := p.Blob(1); err != nil {
			return err
		}
	}
	return nil
}

func insidePool(p string) bool {
	return p != "" && !path.IsAbs(p) && path.Clean(p) == p && !strings.HasPrefix(p, "../")
}

// Encode writes the lock file; equal locks give equal bytes.
func (l Lock) Encode() []byte {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		panic(err) // strings, numbers and times only
	}
	return append(b, '\n')
}

// Digest identifies the lock.
func (l Lock) Digest() string { return "sha256:" + hash(l.Encode()) }

// contents identifies what is locked, leaving out from which day's Release it
// was chosen: a new Release with the same packages is the same image.
func (l Lock) contents() string {
	l.Suites = nil
	l.Packages = slices.Clone(l.Packages)
	for i := range l.Packages {
		l.Packages[i].Suite, l.Packages[i].Path = 0, ""
	}
	l.Npm = slices.Clone(l.Npm)
	for i := range l.Npm {
		l.Npm[i].URL = ""
	}
	return hash(l.Encode())
}

// wish identifies the parts of a Spec that decide about packages. The mirror is
// not among them: whoever serves a package, its hash is the same.
func (s Spec) wish() string {
	s.From.Mirror, s.From.Security, s.From.CheckValidUntil = "", "", nil
	b, err := json.Marshal(struct {
		From     From
		Packages []string
		Npm      []string
	}{s.From, s.Packages, s.Npm})
	if err != nil {
		panic(err) // strings only
	}
	return hash(b)
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
