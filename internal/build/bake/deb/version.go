package deb

import (
	"fmt"
	"strings"
)

// Compare orders two version strings as dpkg does: epoch, then upstream
// version, then revision. It returns -1, 0 or 1, and is total: a malformed
// version still has its place.
func Compare(a, b string) int {
	ea, ua, ra := split(a)
	eb, ub, rb := split(b)
	if c := compareEpoch(ea, eb); c != 0 {
		return c
	}
	if c := comparePart(ua, ub); c != 0 {
		return c
	}
	return comparePart(ra, rb)
}

// CheckVersion says whether v is a version that dpkg would accept.
func CheckVersion(v string) error {
	epoch, upstream, revision := split(v)
	if strings.Trim(epoch, "0123456789") != "" || (epoch == "" && strings.HasPrefix(v, ":")) {
		return fmt.Errorf("version %q: the epoch is not a number", v)
	}
	if upstream == "" || upstream[0] < '0' || upstream[0] > '9' {
		return fmt.Errorf("version %q: does not start with a digit", v)
	}
	if strings.HasSuffix(v, "-") {
		return fmt.Errorf("version %q: the revision is empty", v)
	}
	for _, c := range upstream + revision {
		if !isDigit(byte(c)) && !isAlpha(byte(c)) && !strings.ContainsRune(".-+~:", c) {
			return fmt.Errorf("version %q: character %q is not allowed", v, c)
		}
	}
	return nil
}

// split cuts [epoch:]upstream[-revision].
func split(v string) (epoch, upstream, revision string) {
	if e, rest, ok := strings.Cut(v, ":"); ok {
		epoch, v = e, rest
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// compareEpoch compares as numbers of any length.
func compareEpoch(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return sign(len(a) - len(b))
	}
	return strings.Compare(a, b)
}

// comparePart alternates between runs of other characters, where letters sort
// before the rest and a tilde before even the end, and runs of digits, which
// are numbers.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		for (a != "" && !isDigit(a[0])) || (b != "" && !isDigit(b[0])) {
			if d := weight(a) - weight(b); d != 0 {
				return sign(d)
			}
			a, b = rest(a), rest(b)
		}
		na, nb := digits(a), digits(b)
		if c := compareEpoch(a[:na], b[:nb]); c != 0 {
			return c
		}
		a, b = a[na:], b[nb:]
	}
	return 0
}

// weight is the sorting weight of the first character of a run of non-digits.
func weight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isAlpha(s[0]):
		return int(s[0])
	default:
		return int(s[0]) + 256
	}
}

func rest(s string) string {
	if s == "" || isDigit(s[0]) {
		return s
	}
	return s[1:]
}

func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
