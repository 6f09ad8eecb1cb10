package source

import (
	"slices"
	"time"

	"naru/internal/app"
)

// PackageID identifies a package.
type PackageID string

// PackageKind says what a package holds.
type PackageKind string

// A package holds files, or names an image of another registry.
const (
	Bits   PackageKind = "bits"
	Docker PackageKind = "docker"
)

// PackageState says how far a package is.
type PackageState string

// A package of files waits for its upload, and can be built once that is there.
// What could not be taken in, or waited too long, is Spoilt; what was forgotten
// is Expired.
const (
	Awaiting PackageState = "awaiting"
	Ready    PackageState = "ready"
	Spoilt   PackageState = "spoilt"
	Expired  PackageState = "expired"
)

var nextPackage = map[PackageState][]PackageState{
	Awaiting: {Ready, Spoilt},
	Ready:    {Expired},
}

// CanBecome reports whether a move is legal.
func (s PackageState) CanBecome(to PackageState) bool { return slices.Contains(nextPackage[s], to) }

// Package is what an app is to be built of, kept before anything is built.
type Package struct {
	ID       PackageID
	App      app.ID
	Space    app.SpaceID
	Kind     PackageKind
	State    PackageState
	Snapshot string // digest of the files, "" before they are there
	Image    string // reference, of Docker
	Username string // at the image's registry, "" for what the space has
	Error    string // why it is Spoilt
	Created  time.Time
	Updated  time.Time
}

// Secret is the name under which the password of a package's image is sealed
// beside the app's secret settings. No setting can have it.
func (p Package) Secret() string { return "package/" + string(p.ID) }
