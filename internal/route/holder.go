package route

import (
	"strings"

	"naru/internal/app"
)

// Holder is a space that has routes at a host.
type Holder struct {
	Host  string // in the form of the table
	Space app.SpaceID
}

// Wildcards are the wildcards over a host, the nearest first: for a.b.example
// *.b.example and *.example. A wildcard is not over itself.
func Wildcards(host string) (over []string) {
	for _, rest, more := strings.Cut(strings.TrimPrefix(host, "*."), "."); more; _, rest, more = strings.Cut(rest, ".") {
		over = append(over, "*."+rest)
	}
	return over
}
