package cf

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"naru/internal/app"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
)

// Bounds of a matching.
const (
	maxResources  = 5000
	lookedThrough = 8       // spaces
	resourceBytes = 4 << 20 // of a request with as many resources as there may be
)

// lately are the operations among which one's own tell where one works.
var lately = operation.Filter{Limit: 100}

func sortedSpaces(m map[app.SpaceID]app.Space) []app.SpaceID { return slices.Sorted(maps.Keys(m)) }

// file is a file that a client names by its SHA-1, in either form of the API.
type file struct {
	Path     string          `json:"path,omitempty"`
	Mode     string          `json:"mode,omitempty"`
	Checksum *fileChecksum   `json:"checksum,omitempty"`
	Size     json.RawMessage `json:"size_in_bytes,omitempty"`

	OldPath string          `json:"fn,omitempty"`
	OldSHA1 string          `json:"sha1,omitempty"`
	OldSize json.RawMessage `json:"size,omitempty"`
}

type fileChecksum struct {
	Value string `json:"value"`
}

// source reads the file; ok is false for what cannot be known here, such as links,
// folders and what is empty.
func (f file) source() (out source.File, ok bool) {
	out.Path, out.SHA1 = f.Path, f.OldSHA1
	if out.Path == "" {
		out.Path = f.OldPath
	}
	if f.Checksum != nil {
		out.SHA1 = f.Checksum.Value
	}
	size := f.Size
	if len(size) == 0 {
		size = f.OldSize
	}
	n, err := strconv.ParseInt(string(size), 10, 64)
	mode := uint64(source.Plain)
	if f.Mode != "" {
		if mode, err = parseMode(f.Mode, err); err != nil || mode > 0o777 {
			return out, false
		}
	}
	out.Size, out.Mode = n, fs.FileMode(mode)
	return out, err == nil && n > 0 && len(out.SHA1) == 40
}

func parseMode(text string, before error) (uint64, error) {
	if before != nil {
		return 0, before
	}
	mode, err := strconv.ParseUint(text, 8, 32)
	if mode>>12 == 0o10 { // a plain file with its type
		mode &= 0o777
	}
	return mode, err
}

// matchResources answers which files need not be sent.
func (d *Door) matchResources(c *call) error {
	var in struct {
		Resources json.RawMessage `json:"resources"`
	}
	if err := c.decodeUpTo(resourceBytes, &in); err != nil {
		return err
	}
	var files []file
	if len(in.Resources) == 0 || in.Resources[0] != '[' {
		return unprocessable.saying("Resources must be an array")
	}
	switch err := json.Unmarshal(in.Resources, &files); {
	case err != nil:
		return badMessage
	case len(files) > maxResources:
		return unprocessable.saying(fmt.Sprintf("Resources array can have at most %d resources", maxResources))
	case len(files) == 0:
		return unprocessable.saying("Resources must have at least 1 resource")
	}
	known, err := d.known(c, files)
	if err != nil {
		return err
	}
	c.send(201, map[string]any{"resources": known})
	return nil
}

// known are those of the files that spaces of who asks have.
func (d *Door) known(c *call, files []file) ([]file, error) {
	var ask []source.File
	at := []int{}
	for i, f := range files {
		if s, ok := f.source(); ok {
			s.Path = strconv.Itoa(i) // paths may come twice here, and need not be good
			ask, at = append(ask, s), append(at, i)
		}
	}
	out := []file{}
	if len(at) == 0 {
		return out, nil
	}
	spaces, err := d.sourceSpaces(c)
	if err != nil {
		return nil, err
	}
	found, err := d.Intake.Known(c.ctx(), spaces, ask)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		i, _ := strconv.Atoi(f.Path) // it was written above
		out = append(out, files[i])
	}
	return out, nil
}
