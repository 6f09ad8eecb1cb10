package api

import (
	"context"
	"slices"
	"strconv"

	"naru/internal/client"
	"naru/internal/fault"
)

// PageInput is the part of a list that is wanted; exported because huma looks
// into exported fields only.
type PageInput struct {
	Limit int    `query:"limit" minimum:"1" doc:"entries at most; absent: the server's default"`
	After string `query:"after" maxLength:"512" doc:"next of the page before"`
}

// size is how many entries the page has at most.
func (s *server) size(p PageInput) (int, error) {
	switch {
	case p.Limit == 0:
		return s.cfg.PageItems, nil
	case p.Limit > s.cfg.MaxPageItems:
		return 0, fault.New(fault.Invalid, "limit", "a page has at most %d entries (got %d)", s.cfg.MaxPageItems, p.Limit).
			WithTry("ask for the next page with after")
	}
	return p.Limit, nil
}

// number reads after as a number; 0 where there is none.
func (p PageInput) number() (int64, error) {
	if p.After == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(p.After, 10, 64)
	if err != nil || n < 1 {
		return 0, fault.New(fault.Invalid, "after", "%q is not what next was", p.After)
	}
	return n, nil
}

// cut makes a page of a list that has one entry more where there is another
// page; next is how that one is asked for.
func cut[D, W any](in []D, size int, encode func(D) W, next func(D) string) client.List[W] {
	l := client.List[W]{}
	if len(in) > size {
		in = in[:size]
		l.Next = next(in[size-1])
	}
	l.Items = each(in, encode)
	return l
}

// pageOf makes a page of a whole list that is sorted by name.
func pageOf[D, W any](s *server, p PageInput, all []D, encode func(D) W, name func(D) string) (client.List[W], error) {
	size, err := s.size(p)
	if err != nil {
		return client.List[W]{}, err
	}
	if p.After != "" {
		all = all[len(all)-len(after(all, p.After, name)):]
	}
	return cut(all[:min(len(all), size+1)], size, encode, name), nil
}

func after[D any](all []D, last string, name func(D) string) []D {
	i := slices.IndexFunc(all, func(v D) bool { return name(v) > last })
	if i < 0 {
		return nil
	}
	return all[i:]
}

// numbered reads "v3" or "3" as a number; 0 where it is none.
func numbered(s string) int {
	if len(s) > 1 && (s[0] == 'v' || s[0] == 'V') {
		s = s[1:]
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// at is what the path of the request names.
func at(ctx context.Context) place { return requestOf(ctx).place }
