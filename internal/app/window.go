package app

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // windows follow the calendars of zones, also on machines without a data base of them

	"naru/internal/fault"
)

// Calendar is the unit of a window that begins and ends on the calendar.
type Calendar string

// The units. Weeks begin on Monday.
const (
	Day     Calendar = "day"
	Week    Calendar = "week"
	Month   Calendar = "month"
	Quarter Calendar = "quarter"
	Year    Calendar = "year"
)

// Window is the time over which an objective is to be met: the last so long, or
// the period of the calendar that is now. Its text form is "28d", "month",
// "2 weeks from 2026-01-05T12:00 in Europe/Berlin".
type Window struct {
	Rolling  Duration // 0: Calendar
	Calendar Calendar
	Every    int    // units in a period; 0: 1
	Start    string // wall clock at which one of the periods begins, WallClock's form; "": 2001-01-01T00:00, a Monday
	Zone     string // of the IANA database; "": UTC
}

// WallClock is the form of Window.Start.
const WallClock = "2006-01-02T15:04"

// DefaultWindow is the window of an objective that names none.
var DefaultWindow = Window{Rolling: Duration(28 * 24 * time.Hour)}

// Bounds of windows.
const (
	MinWindow = Duration(time.Hour)
	MaxWindow = Duration(366 * 24 * time.Hour)
)

const day = 24 * time.Hour

var longest = map[Calendar]time.Duration{Day: day + time.Hour, Week: 7*day + time.Hour, Month: 31*day + time.Hour, Quarter: 92*day + time.Hour, Year: 366 * day}

// Longest is the most time a period of the window has.
func (w Window) Longest() time.Duration {
	if w.Rolling > 0 {
		return w.Rolling.Std()
	}
	return longest[w.Calendar] * time.Duration(max(w.Every, 1))
}

// Check refuses a window that has no begin or is too long to be kept.
func (w Window) Check(field string) error {
	if w == (Window{}) {
		return nil
	}
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, field, format, args...).WithTry("28d, week, month, quarter, or  month in Europe/Berlin")
	}
	switch _, known := longest[w.Calendar]; {
	case w.Rolling > 0 && (w.Calendar != "" || w.Every != 0 || w.Start != "" || w.Zone != ""):
		return bad("a window either rolls or follows the calendar, not both")
	case w.Rolling > 0 && (w.Rolling < MinWindow || w.Rolling > MaxWindow):
		return bad("%s is not between %s and %s", w, Window{Rolling: MinWindow}, Window{Rolling: MaxWindow})
	case w.Rolling > 0:
		return nil
	case !known:
		return bad("%q is no window", w.Calendar)
	case w.Every < 0 || w.Longest() > time.Duration(MaxWindow)+time.Hour:
		return bad("%d %ss are more than a year", w.Every, w.Calendar)
	}
	if _, err := w.Location(); err != nil {
		return bad("%q is no time zone", w.Zone)
	}
	if _, err := time.Parse(WallClock, w.Start); w.Start != "" && err != nil {
		return bad("%q is no start: write it like 2026-01-05T12:00", w.Start)
	}
	return nil
}

// Location is the zone whose calendar the window follows.
func (w Window) Location() (*time.Location, error) {
	if w.Zone == "Local" { // that of the machine, which differs between machines
		return nil, fmt.Errorf("unknown time zone %s", w.Zone)
	}
	return time.LoadLocation(w.Zone)
}

// String is the text form.
func (w Window) String() string {
	if w.Rolling > 0 {
		return Days(w.Rolling.Std())
	}
	text := string(w.Calendar)
	if w.Every > 1 {
		text = fmt.Sprintf("%d %ss", w.Every, w.Calendar)
	}
	if w.Start != "" {
		text += " from " + w.Start
	}
	if w.Zone != "" {
		text += " in " + w.Zone
	}
	return text
}

// Days writes a duration with days where it has whole ones: "28d", "36h", "5m".
func Days(d time.Duration) string {
	for _, u := range []struct {
		length time.Duration
		name   string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.length && d%u.length == 0 {
			return strconv.FormatInt(int64(d/u.length), 10) + u.name
		}
	}
	return d.String()
}

// ParseDays reads what Days writes, weeks ("4w"), and the forms of time.Duration.
func ParseDays(text string) (time.Duration, error) {
	unit := map[byte]time.Duration{'d': day, 'w': 7 * day}
	if text != "" && unit[text[len(text)-1]] > 0 {
		n, err := strconv.ParseUint(text[:len(text)-1], 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration such as 28d or 12h", text)
		}
		return time.Duration(n) * unit[text[len(text)-1]], nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 28d or 12h", text)
	}
	return d, nil
}

// ParseWindow reads the text form.
func ParseWindow(text string) (Window, error) {
	fields := strings.Fields(text)
	if len(fields) == 1 && strings.ContainsAny(fields[0][:1], "0123456789") {
		d, err := ParseDays(fields[0])
		if err != nil {
			return Window{}, err
		}
		if d == 0 {
			return Window{}, fmt.Errorf("a window of no time")
		}
		return Window{Rolling: Duration(d)}, nil
	}
	var w Window
	if len(fields) > 1 {
		if n, err := strconv.Atoi(fields[0]); err == nil && n > 0 {
			w.Every, fields = n, fields[1:]
		}
	}
	if len(fields) > 0 {
		w.Calendar, fields = Calendar(strings.TrimSuffix(fields[0], "s")), fields[1:]
	}
	if w.Every == 1 {
		w.Every = 0
	}
	for len(fields) >= 2 {
		switch fields[0] {
		case "from":
			w.Start = fields[1]
		case "in":
			w.Zone = fields[1]
		default:
			return Window{}, fmt.Errorf("%q is no window", text)
		}
		fields = fields[2:]
	}
	if len(fields) > 0 || w.Calendar == "" {
		return Window{}, fmt.Errorf("%q is no window", text)
	}
	return w, nil
}

// MarshalText writes the text form.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads the text form.
func (w *Window) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWindow(string(text))
	return err
}
