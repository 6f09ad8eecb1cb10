package git

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"naru/internal/fault"
)

// userInfo is what may precede the host of a URL in a message.
var userInfo = regexp.MustCompile(`://[^/\s@]+@`)

// redact removes credentials from what a program or library said.
func redact(text string, creds Credentials) string {
	for _, s := range []string{creds.Password.Reveal(), creds.SSHKey.Reveal()} {
		if s == "" {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return userInfo.ReplaceAllString(text, "://***@")
}

// causes reads the words of git, ssh and the built-in code. The first that
// matches counts.
var causes = []struct {
	words string // any of them, separated by |
	make  func(at Location) *fault.Error
}{
	{"host key verification failed|key is unknown|knownhosts:", func(at Location) *fault.Error {
		return fault.New(fault.Denied, "git", "the ssh key of %s's host is not known", at.URL).
			WithTry("naru credentials set %s --known-hosts FILE", host(at))
	}},
	{"redirect", func(at Location) *fault.Error {
		return fault.New(fault.Denied, "git", "%s redirects elsewhere, which credentials do not follow", at.URL).
			WithTry("use the URL it redirects to")
	}},
	{"authentication failed|could not read username|could not read password|authentication required|authorization failed|permission denied|error: 401|error: 403|unable to authenticate|invalid auth", denied},
	{"couldn't find remote ref|could not find remote ref|reference not found|couldn't find ref|not our ref|unadvertised object|exact sha1", noSuchRef},
	{"not found|does not exist|does not appear to be a git repository|error: 404|empty git-upload-pack", func(at Location) *fault.Error {
		return fault.New(fault.NotFound, "git", "there is no repository at %s, or it is private", at.URL).
			WithTry("check the URL; for a private one: naru credentials set %s", host(at))
	}},
	{"remote repository is empty", noSuchRef},
	{"could not resolve|failed to connect|couldn't connect|connection refused|timed out|no route|no such host|network is unreachable|i/o timeout", func(at Location) *fault.Error {
		return fault.New(fault.Unavailable, "git", "%s cannot be reached from the server", host(at)).
			WithTry("check the URL and the server's network and proxy settings")
	}},
	{"certificate|x509", func(at Location) *fault.Error {
		return fault.New(fault.Denied, "git", "the certificate of %s is not trusted", host(at)).
			WithTry("let the operator add its authority to the server's certificates")
	}},
	{"no space left", func(Location) *fault.Error {
		return fault.New(fault.Unavailable, "", "the server's disk is full").
			WithTry("ask the operator to free space, then push again")
	}},
}

// explain turns a failed fetch into something people can act on. The text must
// be redacted.
func explain(at Location, text string, err error) error {
	low := strings.ToLower(text)
	for _, c := range causes {
		for word := range strings.SplitSeq(c.words, "|") {
			if strings.Contains(low, word) {
				return c.make(at).WithCause(errors.New(text))
			}
		}
	}
	lines := strings.Split(text, "\n")
	return fault.New(fault.Failed, "git", "fetching %s failed: %s", at, lines[len(lines)-1]).WithCause(err)
}

func noSuchRef(at Location) *fault.Error {
	if at.Ref == "" {
		return fault.New(fault.NotFound, "git", "the repository %s has no commit", at.URL)
	}
	return fault.New(fault.NotFound, "git", "%s has no branch, tag or commit %s", at.URL, at.Ref).
		WithTry("git ls-remote %s", at.URL)
}

func denied(at Location) *fault.Error {
	return fault.New(fault.Denied, "git", "%s refused access", at.URL).
		WithTry("naru credentials set %s", host(at))
}

func host(at Location) string {
	u, err := url.Parse(at.URL)
	if err != nil || u.Host == "" {
		return at.URL
	}
	return u.Host
}
