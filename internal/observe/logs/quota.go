package logs

import (
	"fmt"
	"maps"
	"time"

	"naru/internal/app"
)

// quota bounds what all instances of an app write together. It goes by the time
// at which a line was written, not by that at which it is read: output that
// waited while nobody read it is none of a flood.
type quota struct {
	bytes int64 // for each window; 0: any
	apps  map[app.ID]*used
}

// window is long enough for an app that says much at once and little on average.
const window = 10 * time.Second

// maxWindows bounds what is remembered of an app: an hour.
const maxWindows = 360

// used is what an app has used.
type used struct {
	at, now int64           // the window of the last line, and the bytes in it
	bytes   map[int64]int64 // in the others
	newest  int64
	dropped int64     // lines that nothing was said about yet
	said    time.Time // when something was
}

func newQuota(perSecond int64) *quota {
	return &quota{bytes: perSecond * int64(window/time.Second), apps: map[app.ID]*used{}}
}

// of is what an app has used.
func (q *quota) of(a app.ID) *used {
	u, ok := q.apps[a]
	if !ok {
		u = &used{bytes: map[int64]int64{}}
		q.apps[a] = u
	}
	return u
}

// take reports whether a line of an app may be kept, and counts it.
func (q *quota) take(u *used, l *Line) bool {
	if q.bytes <= 0 {
		return true
	}
	if at := l.Time.Unix() / int64(window/time.Second); at != u.at {
		u.turn(at)
	}
	n := int64(len(l.Text)) + 1
	if u.now+n > q.bytes {
		u.dropped++
		return false
	}
	u.now += n
	return true
}

// turn goes to another window.
func (u *used) turn(at int64) {
	u.bytes[u.at] = u.now
	u.newest = max(u.newest, at)
	if len(u.bytes) >= 2*maxWindows {
		maps.DeleteFunc(u.bytes, func(w, _ int64) bool { return w < u.newest-maxWindows })
	}
	if len(u.bytes) >= 2*maxWindows { // times all over the place
		clear(u.bytes)
	}
	u.at, u.now = at, u.bytes[at]
}

// sayEvery bounds what an app's log says of a flood that goes on.
const sayEvery = time.Second

// notices are lines about what was dropped.
func (q *quota) notices(now time.Time) (out []Line) {
	for a, u := range q.apps {
		if since := now.Sub(u.said); u.dropped == 0 || since >= 0 && since < sayEvery {
			continue
		}
		out = append(out, Line{
			Time: now.UTC(), App: a, Source: Platform, Stream: "stderr", Dropped: u.dropped,
			Text: fmt.Sprintf("%d lines dropped (the app writes more than its instances may together: logs.app_rate)", u.dropped),
		})
		u.dropped, u.said = 0, now
	}
	return out
}

// forget forgets apps that write nothing any more.
func (q *quota) forget(live map[app.ID]bool) {
	maps.DeleteFunc(q.apps, func(a app.ID, u *used) bool { return !live[a] && u.dropped == 0 })
}
