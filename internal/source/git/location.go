package git

import (
	"net/url"
	"regexp"
	"strings"

	"naru/internal/fault"
	"naru/internal/secret"
)

// Location says where a commit is. It holds no password and may be printed.
type Location struct {
	URL string // without user and password; for ssh with the user
	Ref string // "" for the default branch
}

// String is the form people type.
func (l Location) String() string {
	if l.Ref == "" {
		return l.URL
	}
	return l.URL + "#" + l.Ref
}

var (
	refOK = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/@+-]*$`)
	// scpLike is git@host:path, which git takes for ssh.
	scpLike = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9._-]*)@([A-Za-z0-9][A-Za-z0-9.-]*):([^/].*)$`)
	hostOK  = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(:[0-9]{1,5})?$`)
	userOK  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@+-]*$`)
)

// parse reads "URL#ref" and judges both. A password in the URL moves to the
// credentials, so that it cannot be printed with the URL.
func (c *Client) parse(spec string, creds Credentials) (Location, Credentials, error) {
	raw, ref, _ := strings.Cut(spec, "#")
	if ref != "" && (len(ref) > 255 || !refOK.MatchString(ref) || strings.Contains(ref, "..") || strings.HasSuffix(ref, ".lock")) {
		return Location{}, creds, fault.New(fault.Invalid, "git", "%q is not the name of a branch, tag or commit", ref)
	}
	if m := scpLike.FindStringSubmatch(raw); m != nil {
		raw = "ssh://" + m[1] + "@" + m[2] + "/" + m[3]
	}
	u, err := url.Parse(raw)
	if err != nil || strings.ContainsAny(raw, "\x00\r\n") {
		// The URL itself may hold a password, and so may the parser's error.
		return Location{}, creds, fault.New(fault.Invalid, "git", "this is not a URL").
			WithTry("give it as https://HOST/PATH#REF or ssh://git@HOST/PATH#REF")
	}
	if err := c.checkURL(u); err != nil {
		return Location{}, creds, err
	}
	if u.User != nil {
		if password, ok := u.User.Password(); ok && creds.Password.IsZero() {
			creds.User, creds.Password = u.User.Username(), secret.New(password)
		}
		if u.Scheme == "ssh" {
			u.User = url.User(u.User.Username())
		} else {
			if creds.User == "" {
				creds.User = u.User.Username()
			}
			u.User = nil
		}
	}
	return Location{URL: u.String(), Ref: ref}, creds, nil
}

func (c *Client) checkURL(u *url.URL) error {
	switch u.Scheme {
	case "https":
	case "ssh":
		if u.User != nil && !userOK.MatchString(u.User.Username()) {
			return fault.New(fault.Invalid, "git", "the user in the URL holds odd characters")
		}
	case "http":
		if !c.opts.AllowHTTP {
			return fault.New(fault.Denied, "git", "http:// is not encrypted and not allowed here").
				WithTry("use https:// or ssh://")
		}
	case "file":
		if !c.opts.AllowFile {
			return fault.New(fault.Denied, "git", "file:// reads the server's own disk and is not allowed here").
				WithTry("push the directory instead")
		}
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return fault.New(fault.Invalid, "git", "a file URL is file:///PATH")
		}
		return nil
	default:
		return fault.New(fault.Invalid, "git", "URLs with %q are not fetched", u.Scheme+":").
			WithTry("use https://HOST/PATH#REF or ssh://git@HOST/PATH#REF")
	}
	if !hostOK.MatchString(u.Host) {
		return fault.New(fault.Invalid, "git", "%q is not a host", u.Host)
	}
	if strings.Trim(u.Path, "/") == "" {
		return fault.New(fault.Invalid, "git", "the URL names no repository on %s", u.Host)
	}
	return nil
}
