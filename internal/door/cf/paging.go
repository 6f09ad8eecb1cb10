package cf

import (
	"slices"
	"strconv"
	"sync"
	"time"
)

// Bounds of what is kept for those who page through a list.
const (
	leafLife  = 10 * time.Second // since a page was asked for
	leafAge   = time.Minute      // since the first one was
	leafItems = 100_000          // of all lists together
)

// leaves keeps lists whose first pages were answered. The pages after it are cut from
// the same: nothing is shown twice or never because something came or went in
// between, and the store is not asked for all of a list again for every fifty things
// of it. Whoever asks for a first page, or later than that, has what there is now.
type leaves struct {
	mu   sync.Mutex // guards kept
	kept []leaf     // oldest first
}

type leaf struct {
	key   string
	items int
	made  time.Time
	used  time.Time
	all   any // a slice that nobody changes
}

// find returns a list that was kept.
func (l *leaves) find(key string) (all any, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.prune(now, 0)
	if i := slices.IndexFunc(l.kept, func(one leaf) bool { return one.key == key }); i >= 0 {
		l.kept[i].used = now
		return l.kept[i].all, true
	}
	return nil, false
}

// keep keeps a list, and drops the oldest where there are too many things.
func (l *leaves) keep(key string, items int, all any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.drop(key)
	if items > leafItems {
		return
	}
	l.prune(now, items)
	l.kept = append(l.kept, leaf{key, items, now, now, all})
}

// forget drops a list that was read to its end.
func (l *leaves) forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(key)
}

func (l *leaves) drop(key string) {
	l.kept = slices.DeleteFunc(l.kept, func(one leaf) bool { return one.key == key })
}

// prune drops what is old, and what there is no room for beside so many things more.
func (l *leaves) prune(now time.Time, more int) {
	l.kept = slices.DeleteFunc(l.kept, func(one leaf) bool { return now.Sub(one.used) > leafLife || now.Sub(one.made) > leafAge })
	for _, one := range l.kept {
		more += one.items
	}
	for more > leafItems {
		more -= l.kept[0].items
		l.kept = slices.Delete(l.kept, 0, 1)
	}
}

// paged returns all of a list of which the query wants one page: what its first page
// was cut from, as far as who asks may see it now, or else what read returns.
func paged[T any](c *call, seen func(T) bool, read func() ([]T, error)) ([]T, error) {
	q := c.r.URL.Query()
	number, size := positive(q, "page", 1), positive(q, "per_page", usualPage)
	q.Del("page")
	q.Set("per_page", strconv.Itoa(size)) // as links to next pages have it
	key := c.who.Name + " " + c.r.URL.Path + "?" + q.Encode()
	last := func(n int) bool { return number*size >= n }
	if number > 1 {
		if kept, ok := c.door.leaves.find(key); ok {
			all, _ := kept.([]T) // the path says what it is a list of
			if last(len(all)) {
				c.door.leaves.forget(key)
			}
			return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return !seen(v) }), nil
		}
	}
	all, err := read()
	if err == nil && number == 1 && size > 0 && !last(len(all)) {
		c.door.leaves.keep(key, len(all), all)
	}
	return all, err
}
