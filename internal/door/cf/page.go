package cf

import (
	"net/url"
	"strconv"
)

// Bounds of a page.
const (
	usualPage = 50
	maxPage   = 5000
)

type pagination struct {
	Total    int   `json:"total_results"`
	Pages    int   `json:"total_pages"`
	First    *link `json:"first"`
	Last     *link `json:"last"`
	Next     *link `json:"next"`
	Previous *link `json:"previous"`
}

type page[W any] struct {
	Pagination pagination     `json:"pagination"`
	Resources  []W            `json:"resources"`
	Included   map[string]any `json:"included,omitempty"`
}

// cut returns one page of all, and where its neighbours are.
func cut[T any](c *call, all []T) ([]T, pagination, error) {
	q := c.r.URL.Query()
	number, size := positive(q, "page", 1), positive(q, "per_page", usualPage)
	switch {
	case number < 1:
		return nil, pagination{}, wrongQuery("Page must be a positive integer")
	case size < 1:
		return nil, pagination{}, wrongQuery("Per page must be a positive integer")
	case size > maxPage:
		return nil, pagination{}, wrongQuery("Per page must be between 1 and %d", maxPage)
	}
	pages := max(1, (len(all)+size-1)/size)
	at := func(n int) *link {
		q.Set("page", strconv.Itoa(n))
		q.Set("per_page", strconv.Itoa(size))
		return &link{Href: c.at.api + c.r.URL.Path + "?" + q.Encode()}
	}
	p := pagination{Total: len(all), Pages: pages, First: at(1), Last: at(pages)}
	if number < pages {
		p.Next = at(number + 1)
	}
	if number > 1 && number <= pages {
		p.Previous = at(number - 1)
	}
	from := len(all)
	if number <= pages {
		from = min(from, (number-1)*size)
	}
	return all[from:min(len(all), from+size)], p, nil
}

// positive is a number of a query; 0 for what is none.
func positive(q url.Values, name string, otherwise int) int {
	if !q.Has(name) {
		return otherwise
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil {
		return 0
	}
	return n
}

// show answers with one page of what the query asks for.
func show[T, W any](c *call, l list[T], all []T, encode func(T) W) error {
	return showing(c, l, all, encode, nil)
}

// showing is show with what the page's things belong to.
func showing[T, W any](c *call, l list[T], all []T, encode func(T) W, include func([]T) (map[string]any, error)) error {
	some, err := chosen(c, l, all)
	if err != nil {
		return err
	}
	return showingPage(c, l, some, encode, include)
}

// chosen are those of all that the query asks for, in its order.
func chosen[T any](c *call, l list[T], all []T) ([]T, error) {
	some, err := l.choose(c.r.URL.Query(), all)
	if err != nil {
		return nil, err
	}
	return selecting(c, l, some)
}

// showingPage is showing for what was chosen already.
func showingPage[T, W any](c *call, l list[T], some []T, encode func(T) W, include func([]T) (map[string]any, error)) error {
	some, p, err := cut(c, some)
	if err != nil {
		return err
	}
	if err := c.preload(listed(c.r.URL.Path), each(some, l.guid)); err != nil {
		return err
	}
	out := page[W]{Pagination: p, Resources: each(some, encode)}
	if include != nil {
		if out.Included, err = include(some); err != nil {
			return err
		}
	}
	return c.ok(out)
}
