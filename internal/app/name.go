package app

import (
	"regexp"
	"strings"
	"unicode"

	"naru/internal/fault"
)

// Limits of names.
const (
	MaxName = 255 // characters of a display name, as Cloud Foundry has it
	MaxSlug = 40  // leaves room for "--worker-v001" in a DNS label
)

var (
	slugOK    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	processOK = regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`)
	envOK     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

// CheckName refuses a display name that is empty, too long, or holds characters
// that would confuse a listing.
func CheckName(field, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return fault.New(fault.Invalid, field, "a name is needed")
	case len([]rune(name)) > MaxName:
		return fault.New(fault.Invalid, field, "the name has %d characters, at most %d are allowed", len([]rune(name)), MaxName)
	case strings.TrimSpace(name) != name:
		return fault.New(fault.Invalid, field, "the name %q starts or ends with a space", name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || r == '/' {
			return fault.New(fault.Invalid, field, "the name %q holds the character %q", name, r)
		}
	}
	return nil
}

// Slug makes the name's form for hosts, image repositories and groups. It is an
// error when nothing of the name is left.
func Slug(name string) (string, error) {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	slug := strings.Trim(b.String(), "-")
	if len(slug) > MaxSlug {
		slug = strings.Trim(slug[:MaxSlug], "-")
	}
	if !slugOK.MatchString(slug) {
		return "", fault.New(fault.Invalid, "name", "the name %q has no letter or digit to make a host name of", name).
			WithTry("choose a name with a-z or 0-9 in it")
	}
	return slug, nil
}

// CheckProcessType refuses what cannot be a process type.
func CheckProcessType(field, process string) error {
	if !processOK.MatchString(process) {
		return fault.New(fault.Invalid, field, "%q is not a process type", process).
			WithTry("use a-z, 0-9 and -, starting with a letter, at most 30 characters")
	}
	return nil
}

// CheckEnvName refuses what cannot be the name of an environment variable, and
// the names that naru sets itself.
func CheckEnvName(field, name string) error {
	if !envOK.MatchString(name) {
		return fault.New(fault.Invalid, field, "%q is not the name of an environment variable", name)
	}
	if upper := strings.ToUpper(name); strings.HasPrefix(upper, "VCAP_") || strings.HasPrefix(upper, "VMC") {
		return fault.New(fault.Invalid, field, "%s is the platform's: names cannot start with VCAP_ or VMC", name).
			WithTry("choose another name; credentials come into VCAP_SERVICES by naru service create and naru bind")
	}
	if name == "PORT" || strings.HasPrefix(name, "NARU_") {
		return fault.New(fault.Invalid, field, "%s is set by naru", name).
			WithTry("choose another name; an app learns its port from $PORT")
	}
	return nil
}
