package apt

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"naru/internal/build/bake/deb"
	"naru/internal/fault"
)

// Release is what a suite says about itself.
type Release struct {
	Origin, Suite, Codename, Version string
	Date                             time.Time
	ValidUntil                       time.Time // zero where the suite never runs out
	Architectures, Components        []string
	ByHash                           bool
	NotAutomatic, AutomaticUpgrades  bool
	Files                            map[string]File // by path below dists/SUITE
}

// File is one line of the SHA256 list.
type File struct {
	SHA256 string
	Size   int64
}

// futureSlack is how far ahead of our clock a Release may be dated.
const futureSlack = time.Hour

// ParseRelease reads the text of a Release file.
func ParseRelease(text []byte) (Release, error) {
	s := deb.Stanza(strings.ReplaceAll(string(text), "\r\n", "\n"))
	fields := map[string]string{}
	for name, value := range s.Fields() {
		fields[name] = value
	}
	r := Release{
		Origin: fields["Origin"], Suite: fields["Suite"], Codename: fields["Codename"], Version: fields["Version"],
		Architectures: strings.Fields(fields["Architectures"]), Components: strings.Fields(fields["Components"]),
		ByHash: fields["Acquire-By-Hash"] == "yes", NotAutomatic: fields["NotAutomatic"] == "yes",
		AutomaticUpgrades: fields["ButAutomaticUpgrades"] == "yes", Files: map[string]File{},
	}
	var err error
	if r.Date, err = parseDate(fields["Date"]); err != nil {
		return Release{}, fmt.Errorf("release file: Date: %w", err)
	}
	if v := fields["Valid-Until"]; v != "" {
		if r.ValidUntil, err = parseDate(v); err != nil {
			return Release{}, fmt.Errorf("release file: Valid-Until: %w", err)
		}
	}
	for line := range strings.SplitSeq(fields["SHA256"], "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		path, f, err := parseFile(line)
		if err != nil {
			return Release{}, err
		}
		r.Files[path] = f
	}
	if len(r.Files) == 0 {
		return Release{}, fmt.Errorf("release file: no SHA256 list")
	}
	return r, nil
}

func parseFile(line string) (string, File, error) {
	parts := strings.Fields(line)
	if len(parts) != 3 {
		return "", File{}, fmt.Errorf("release file: cannot read %q", line)
	}
	size, err := strconv.ParseInt(parts[1], 10, 64)
	sum, herr := hex.DecodeString(parts[0])
	if err != nil || herr != nil || size < 0 || len(sum) != 32 {
		return "", File{}, fmt.Errorf("release file: cannot read %q", line)
	}
	return parts[2], File{SHA256: parts[0], Size: size}, nil
}

// parseDate accepts the forms that archives use: RFC 1123 with UTC or a zone,
// with or without a leading zero in the day.
func parseDate(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC1123, time.RFC1123Z, "Mon, _2 Jan 2006 15:04:05 MST", "Mon, _2 Jan 2006 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("cannot read %q", s)
}

// check holds a Release against what was asked for and against the clock: an
// old Release, well signed, is how a mirror hides security updates.
func (r Release) check(src Source, url string, now time.Time) error {
	if src.Suite != r.Codename && src.Suite != r.Suite {
		return fault.New(fault.Invalid, "from.mirror", "%s is the Release of %q (%q), not of %q", url, r.Codename, r.Suite, src.Suite).
			WithTry("the mirror serves the wrong suite; name another under from.mirror")
	}
	if r.Date.After(now.Add(futureSlack)) {
		return fault.New(fault.Invalid, "from.mirror", "%s is dated %s, which is in the future", url, r.Date.Format(time.RFC3339)).
			WithTry("set this machine's clock (it says %s)", now.UTC().Format(time.RFC3339))
	}
	if !src.IgnoreValidUntil && !r.ValidUntil.IsZero() && now.After(r.ValidUntil) {
		return fault.New(fault.Invalid, "from.mirror", "%s ran out on %s: the mirror no longer follows Debian", url, r.ValidUntil.Format(time.RFC3339)).
			WithTry("check this machine's clock, use another mirror, or set from.check_valid_until: false for an archive of the past")
	}
	return nil
}
