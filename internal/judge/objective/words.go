package objective

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Percent writes a share with as many digits as tell it from 0 % and 100 %:
// "99.95 %", "-12 %".
func Percent(share float64) string {
	v := share * 100
	distance := min(math.Abs(v), math.Abs(100-v)) // digits matter near both ends
	digits := 1
	switch {
	case distance > 0 && distance < 1:
		digits = min(int(math.Ceil(-math.Log10(distance)))+1, 9)
	case math.Abs(v) > 100:
		digits = 0
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		text = "0"
	}
	return text + " %"
}

// Minutes writes a budget: "25.9 s", "43.2 min", "-7.5 min".
func Minutes(d time.Duration) string {
	switch s := d.Seconds(); {
	case math.Abs(s) < 60:
		return short(s) + " s"
	case math.Abs(s) < 24*3600:
		return short(s/60) + " min"
	default:
		return fmt.Sprintf("%.1f h", s/3600)
	}
}

func short(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }
