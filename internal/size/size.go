// Package size prints amounts of bytes as people read them.
package size

import (
	"fmt"
	"strconv"
)

// Text prints bytes in the largest unit they fill, with at most one digit
// behind the point: "512 MiB", "1.5 GiB", "17 B".
func Text(bytes int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		switch {
		case bytes < unit.bytes:
		case bytes%unit.bytes == 0:
			return fmt.Sprintf("%d %s", bytes/unit.bytes, unit.name)
		default:
			return fmt.Sprintf("%.1f %s", float64(bytes)/float64(unit.bytes), unit.name)
		}
	}
	return strconv.FormatInt(bytes, 10) + " B"
}

// MiB prints mebibytes in that unit whatever their number is, so that two of
// them can be compared: "900 MiB", "22,528 MiB".
func MiB(mib int) string {
	digits := strconv.Itoa(mib)
	sign := ""
	if mib < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits + " MiB"
}
