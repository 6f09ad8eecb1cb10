package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"naru/internal/client"
)

// selectFlags narrow a list by labels.
type selectFlags struct {
	selector string
	show     bool
}

func (f *selectFlags) register(command *cobra.Command) {
	command.Flags().StringVarP(&f.selector, "selector", "l", "", "those with these labels: KEY, !KEY, KEY=VALUE, KEY!=VALUE, 'KEY in (A,B)', 'KEY notin (A,B)', with commas between several")
	command.Flags().BoolVar(&f.show, "show-labels", false, "show their labels")
	_ = command.RegisterFlagCompletionFunc("selector", cobra.NoFileCompletions) // the flag is there
}

// narrowed goes through a list as the flags ask for it.
func narrowed[T any](ctx context.Context, f selectFlags, fetch func(context.Context, client.Page) (client.List[T], error)) ([]T, error) {
	var all []T
	for one, err := range client.All(ctx, client.Selecting(f.selector, fetch)) {
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// none is what is said of an empty list.
func (f selectFlags) none(otherwise string) string {
	if f.selector != "" {
		return "none has the labels " + f.selector
	}
	return otherwise
}

// selectedList is list, with the labels where they are asked for.
func selectedList[T any](s *Screen, f selectFlags, all []T, none string, headings []string, row func(T) []string, labels func(T) map[string]string) error {
	if !f.show {
		return list(s, all, f.none(none), headings, row)
	}
	return list(s, all, f.none(none), append(headings, "LABELS"), func(v T) []string { return append(row(v), dash(labelText(labels(v)))) })
}

func labelText(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, key+"="+labels[key])
	}
	return strings.Join(parts, ",")
}
