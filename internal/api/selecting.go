package api

import (
	"context"

	"naru/internal/app/label"
)

// SelectorInput says which labels things have that are asked for; exported because
// huma looks into exported fields only.
type SelectorInput struct {
	Selector string `query:"selector" maxLength:"4096" doc:"those with these labels: KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (A,B), KEY notin (A,B), with commas between several; absent: all"`
}

func (in SelectorInput) selector() (label.Selector, error) {
	if in.Selector == "" {
		return label.Selector{}, nil
	}
	return label.ParseSelector(in.Selector)
}

// SelectInput is PageInput of things that have labels.
type SelectInput struct {
	PageInput
	SelectorInput
}

// selectPage is how many things are looked at at a time, where not all are meant.
const selectPage = 500

// labelledPage reads the things of a kind that a request asks for, one more than
// fit on its page where there are more, and what is written on them. fetch lists at
// most limit of them whose name is above after.
func labelledPage[T any](ctx context.Context, s *server, in SelectInput, kind string, name, guid func(T) string, fetch func(after string, limit int) ([]T, error)) (page []T, size int, written map[string]label.Set, err error) {
	if size, err = s.size(in.PageInput); err != nil {
		return nil, 0, nil, err
	}
	selector, err := in.selector()
	if err != nil {
		return nil, 0, nil, err
	}
	limit, after := size+1, in.After
	if in.Selector != "" {
		limit = max(limit, selectPage)
	}
	written = map[string]label.Set{}
	for {
		some, err := fetch(after, limit)
		if err != nil || len(some) == 0 {
			return page, size, written, err
		}
		labels, err := s.Labels.LabelsOf(ctx, kind, each(some, guid)...)
		if err != nil {
			return nil, 0, nil, err
		}
		for _, one := range some {
			set := labels[guid(one)]
			if selector.Selects(set.Labels) {
				page, written[guid(one)] = append(page, one), set
			}
		}
		if len(some) < limit || len(page) > size {
			return page[:min(len(page), size+1)], size, written, nil
		}
		after = name(some[len(some)-1])
	}
}

// fetchFrom lists from what is sorted by name and in memory.
func fetchFrom[T any](all []T, name func(T) string) func(string, int) ([]T, error) {
	return func(last string, limit int) ([]T, error) {
		rest := all
		if last != "" {
			rest = after(all, last, name)
		}
		return rest[:min(len(rest), limit)], nil
	}
}
