package cli

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"naru/internal/client"
	"naru/internal/size"
)

// age prints how long ago something was, in one unit.
func age(t time.Time) string {
	d := time.Since(t)
	switch {
	case t.IsZero():
		return "-"
	case d < 0:
		return "0s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// count prints a number of things: 1 file, 2 files.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// took prints a duration to what matters.
func took(d client.Duration) string {
	t := time.Duration(d)
	switch {
	case t <= 0:
		return ""
	case t < time.Second:
		return max(t.Round(time.Millisecond), time.Millisecond).String()
	case t < time.Minute:
		return t.Round(100 * time.Millisecond).String()
	}
	return t.Round(time.Second).String()
}

// short is the beginning of a digest, without the name of its hash.
func short(digest string) string {
	hex := digest[strings.LastIndex(digest, ":")+1:]
	return hex[:min(12, len(hex))]
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// dash stands for what is not there.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// painted returns the length of a colour at the beginning of text; 0 where
// there is none.
func painted(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	for i := 2; i < len(text); i++ {
		switch c := text[i]; {
		case c == 'm':
			return i + 1
		case c != ';' && (c < '0' || c > '9'):
			return 0
		}
	}
	return 0
}

// columns counts what a terminal shows of text: colours take no room.
func columns(text string) (n int) {
	for len(text) > 0 {
		if skip := painted(text); skip > 0 {
			text = text[skip:]
			continue
		}
		_, width := utf8.DecodeRuneInString(text)
		text = text[width:]
		n++
	}
	return n
}

// fit cuts text to a terminal's width, so that it can be wiped again.
func fit(text string, width int) string {
	if columns(text) < width {
		return text
	}
	var b strings.Builder
	for n := 0; n < width-2 && len(text) > 0; {
		if skip := painted(text); skip > 0 {
			b.WriteString(text[:skip])
			text = text[skip:]
			continue
		}
		_, one := utf8.DecodeRuneInString(text)
		b.WriteString(text[:one])
		text = text[one:]
		n++
	}
	cut := b.String() + "…"
	if strings.Contains(cut, "\x1b") {
		cut += "\x1b[0m"
	}
	return cut
}

// tame takes from text what would move a terminal's cursor or change its
// settings. Colours stay: the apps that print them mean them for people.
func tame(text string) string {
	if strings.IndexFunc(text, wild) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		if skip := painted(text); skip > 0 {
			b.WriteString(text[:skip])
			text = text[skip:]
			continue
		}
		r, one := utf8.DecodeRuneInString(text)
		switch {
		case r == '\t' || r == '\n':
			b.WriteByte(' ')
		case !wild(r):
			b.WriteString(text[:one])
		}
		text = text[one:]
	}
	return b.String()
}

// wild are the control characters, C0 and C1.
func wild(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// instance names an instance: web/0.
func instance(process string, index int) string { return process + "/" + strconv.Itoa(index) }

func itoa(n int) string { return strconv.Itoa(n) }

// memory is what an instance has of what it may have.
func memory(u client.Usage) string {
	if u.MemoryLimit > 0 {
		return size.Text(u.MemoryBytes) + " of " + size.Text(u.MemoryLimit)
	}
	return size.Text(u.MemoryBytes)
}

func seconds(s float64) string {
	return dash(took(client.Duration(s * float64(time.Second))))
}
