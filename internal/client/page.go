package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
)

// Page asks for a part of a list.
type Page struct {
	Limit int    // entries at most; 0: the server's default
	After string // Next of the page before; "": the first page

	// Selector narrows lists of apps, routes, spaces and orgs to those whose labels
	// it means: KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), with
	// commas between several; "": all.
	Selector string
}

// Selecting makes every page of a list one of what a selector means.
//
//	for app, err := range client.All(ctx, client.Selecting("team=checkout", space.Apps)) { ... }
func Selecting[T any](selector string, fetch func(context.Context, Page) (List[T], error)) func(context.Context, Page) (List[T], error) {
	return func(ctx context.Context, p Page) (List[T], error) {
		p.Selector = selector
		return fetch(ctx, p)
	}
}

// List is a page of a list.
type List[T any] struct {
	Items []T    `json:"items" doc:"the entries of this page"`
	Next  string `json:"next,omitempty" doc:"the parameter after of the next page; absent on the last"`
}

func (p Page) query() url.Values {
	q := url.Values{}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.After != "" {
		q.Set("after", p.After)
	}
	if p.Selector != "" {
		q.Set("selector", p.Selector)
	}
	return q
}

// list fetches one page.
func list[T any](ctx context.Context, c *Client, path string, q url.Values) (l List[T], err error) {
	err = c.get(ctx, path, q, &l)
	return l, err
}

// All goes through every page of a list; it ends with the first error.
//
//	for app, err := range client.All(ctx, space.Apps) { ... }
func All[T any](ctx context.Context, fetch func(context.Context, Page) (List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var page Page
		for {
			l, err := fetch(ctx, page)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range l.Items {
				if !yield(item, nil) {
					return
				}
			}
			if l.Next == "" || l.Next == page.After {
				return
			}
			page.After = l.Next
		}
	}
}
