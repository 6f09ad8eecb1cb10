package route

import (
	"cmp"
	"slices"
	"strings"
)

// Index finds what answers for a host and a path: the exact host before the
// nearest wildcard, the longest path before shorter ones. It is built once and
// then only read, so it needs no lock.
type Index[T any] struct {
	exact map[string][]indexed[T]
	wild  map[string][]indexed[T] // "*.example" as "example"
}

type indexed[T any] struct {
	path  string // "" for "/", so that every path has it as a prefix
	value T
}

// NewIndex returns an empty index.
func NewIndex[T any]() *Index[T] {
	return &Index[T]{exact: map[string][]indexed[T]{}, wild: map[string][]indexed[T]{}}
}

// Add puts a value under a host and path in table form. A pair that is there
// already keeps its value.
func (x *Index[T]) Add(host, path string, value T) {
	into, name := x.exact, host
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		into, name = x.wild, rest
	}
	if path == "/" {
		path = ""
	}
	list := into[name]
	i, found := slices.BinarySearchFunc(list, path, func(have indexed[T], path string) int {
		return cmp.Or(cmp.Compare(len(path), len(have.path)), cmp.Compare(have.path, path)) // longest first
	})
	if !found {
		into[name] = slices.Insert(list, i, indexed[T]{path, value})
	}
}

// Find returns the value for a request. The host must be lower case and without
// a port; see CutPort.
func (x *Index[T]) Find(host, path string) (value T, ok bool) { return x.FindBy(host, path, nil) }

// FindBy is Find among the values that are accepted; nil accepts all.
func (x *Index[T]) FindBy(host, path string, accept func(T) bool) (value T, ok bool) {
	if value, ok = longest(x.exact[host], path, accept); ok {
		return value, true
	}
	if len(x.wild) > 0 {
		for rest := host; ; {
			dot := strings.IndexByte(rest, '.')
			if dot < 0 {
				break
			}
			rest = rest[dot+1:]
			if value, ok = longest(x.wild[rest], path, accept); ok {
				return value, true
			}
		}
	}
	return value, false
}

// longest returns the first accepted entry whose whole segments start the path.
func longest[T any](list []indexed[T], path string, accept func(T) bool) (value T, ok bool) {
	for i := range list {
		p := list[i].path
		if strings.HasPrefix(path, p) && (p == "" || len(path) == len(p) || path[len(p)] == '/') && (accept == nil || accept(list[i].value)) {
			return list[i].value, true
		}
	}
	return value, false
}

// At returns the value at a host and path in table form.
func (x *Index[T]) At(host, path string) (value T, ok bool) {
	from, name := x.exact, host
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		from, name = x.wild, rest
	}
	if path == "/" {
		path = ""
	}
	for i := range from[name] {
		if from[name][i].path == path {
			return from[name][i].value, true
		}
	}
	return value, false
}

// CutPort returns the host of a Host header the way tables write it: lower
// case, no port, no final dot. It allocates only where upper case is to be
// lowered.
func CutPort(hostport string) string {
	host := hostport
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	return strings.ToLower(host)
}
