package route

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"naru/internal/fault"
)

// Limits of host names and paths.
const (
	MaxHost = 253 // bytes, as DNS has it
	MaxPath = 128 // bytes
)

// ParseHost returns a route's host in the form the table uses: lower case,
// ASCII (punycode), without a final dot, "*." only at the very start. What
// cannot be a host is an error for people.
func ParseHost(host string) (string, error) {
	name := strings.TrimSuffix(strings.TrimSpace(host), ".")
	rest, wildcard := strings.CutPrefix(name, "*.")
	if !wildcard {
		rest = name
	}
	if rest == "" {
		return "", fault.New(fault.Invalid, "host", "a host name is needed").WithTry("naru map-route APP shop.example.com")
	}
	if strings.Contains(rest, "*") {
		return "", fault.New(fault.Invalid, "host", "%q has a * that is not the whole first label", host).
			WithTry(`write "*.example.com" to match every name below example.com`)
	}
	if strings.ContainsAny(rest, ":/[]@") {
		return "", fault.New(fault.Invalid, "host", "%q is not a host name", host).
			WithTry("give the name alone: no scheme, port or path (--path takes the path)")
	}
	if _, err := netip.ParseAddr(rest); err == nil {
		return "", fault.New(fault.Invalid, "host", "%s is an address; a route needs a name", rest)
	}
	ascii, err := idna.Lookup.ToASCII(rest)
	if err != nil {
		return "", fault.New(fault.Invalid, "host", "%q is not a host name", host).WithCause(err)
	}
	if wildcard {
		ascii = "*." + ascii
	}
	if problem := hostProblem(ascii); problem != "" {
		return "", fault.New(fault.Invalid, "host", "%q is not a host name: %s", host, problem)
	}
	return ascii, nil
}

// hostProblem says what is wrong with a host in table form, "" if nothing is.
func hostProblem(host string) string {
	rest, _ := strings.CutPrefix(host, "*.")
	switch {
	case rest == "":
		return "it is empty"
	case len(host) > MaxHost:
		return "it is longer than 253 characters"
	case strings.Contains(rest, "*"):
		return `"*" may only stand as the whole first label`
	}
	for label := range strings.SplitSeq(rest, ".") {
		if problem := labelProblem(label); problem != "" {
			return problem
		}
	}
	return ""
}

func labelProblem(label string) string {
	switch {
	case label == "":
		return "it has an empty label"
	case len(label) > 63:
		return "a label is longer than 63 characters"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "a label starts or ends with -"
	}
	for _, c := range []byte(label) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		case c >= 'A' && c <= 'Z':
			return "it must be lower case"
		default:
			return "only a-z, 0-9 and - may stand in a label"
		}
	}
	return ""
}

// ParsePath returns a route's path in the form the table uses: "/" for all
// paths, else "/api" without a slash at the end.
func ParsePath(path string) (string, error) {
	if path == "" || path == "/" {
		return "/", nil
	}
	problem := ""
	if short, cut := strings.CutSuffix(path, "/"); cut && strings.HasSuffix(short, "/") {
		problem = "it has an empty segment"
	} else {
		path, problem = short, pathProblem(short)
	}
	if problem != "" {
		return "", fault.New(fault.Invalid, "path", "%q cannot be the path of a route: %s", path, problem).
			WithTry("use whole segments such as /api or /shop/v2")
	}
	return path, nil
}

// pathProblem says what is wrong with a path in table form, "" if nothing is.
func pathProblem(path string) string {
	switch {
	case path == "/":
		return ""
	case !strings.HasPrefix(path, "/"):
		return "it must start with /"
	case len(path) > MaxPath:
		return "it is longer than 128 characters"
	case strings.HasSuffix(path, "/"):
		return "it must not end with /"
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		switch segment {
		case "":
			return "it has an empty segment"
		case ".", "..":
			return "it has a segment " + segment
		}
		for _, c := range []byte(segment) {
			switch {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~!$&'()+,=@", c) >= 0:
			default:
				return "only letters, digits and -._~!$&'()+,=@ may stand in a segment"
			}
		}
	}
	return ""
}
