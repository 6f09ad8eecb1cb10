package source

import (
	"fmt"
	"math"
	"strconv"
)

// inMiB writes a number of bytes for people: exact below one MiB, so that a
// tiny limit does not read as zero.
func inMiB(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return strconv.FormatFloat(math.Round(float64(n)/(1<<20)*10)/10, 'f', -1, 64) + " MiB"
}
