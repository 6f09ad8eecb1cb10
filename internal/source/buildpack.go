package source

import (
	"time"

	"naru/internal/app"
)

// BuildpackID identifies an uploaded buildpack.
type BuildpackID string

// Buildpacks is the name under which a Store keeps the files of uploaded
// buildpacks, beside those of the spaces. No space has it for its id.
const Buildpacks app.SpaceID = "buildpacks"

// Trouble is what was wrong with an upload.
type Trouble string

// What an upload may be refused for.
const (
	NoTrouble    Trouble = ""
	BadArchive   Trouble = "archive"       // it cannot be unpacked
	NoBuildpack  Trouble = "invalid"       // nothing in it can work
	StackTaken   Trouble = "taken"         // another buildpack has the name on its stack
	StackUnknown Trouble = "stack-unknown" // it is made for a stack that there is not
	StackDiffers Trouble = "stack-differs" // it is made for another stack than it was given
)

// Buildpack is a classic buildpack that somebody uploaded. A name may be there
// once for each stack.
type Buildpack struct {
	ID       BuildpackID
	Name     string
	Stack    string // "": any
	Position int    // among all of them, from 1 on
	Enabled  bool   // builds may use it
	Locked   bool   // its files stay as they are
	Digest   string // of the files, "sha256:..."; "" before they are there
	Filename string // as it was uploaded
	Trouble  Trouble
	Error    string // of the last upload, with Trouble
	Created  time.Time
	Updated  time.Time
}

// Ready reports that a build can use it.
func (b Buildpack) Ready() bool { return b.Enabled && b.Digest != "" }

// Snapshot is how its files are checked out.
func (b Buildpack) Snapshot() Snapshot {
	return Snapshot{ID: string(b.ID), Space: Buildpacks, Digest: b.Digest, Created: b.Updated}
}
