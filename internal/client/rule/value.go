package rule

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

func yes(text string) (any, error) {
	switch text {
	case "true", "on", "yes":
		return true, nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", text)
}

func text(value string) (any, error) { return value, nil }

func list(value string) (any, error) {
	var out []any
	for _, one := range strings.Split(value, ",") {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the list is empty")
	}
	return out, nil
}

// one is a list of one value, which may have commas.
func one(value string) (any, error) { return []any{value}, nil }

func number(text string) (any, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%q is not a whole number", text)
	}
	return n, nil
}

// share reads 0.1 and 10%.
func share(text string) (any, error) {
	digits, percent := strings.CutSuffix(text, "%")
	x, err := strconv.ParseFloat(digits, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x <= 1) {
		return nil, fmt.Errorf("%q is not a share such as 0.1 or 10%%", text)
	}
	return x, nil
}

// duration reads 90s, 2m and, beside what time.Duration knows, 180d.
func duration(text string) (any, error) {
	d, err := span(text)
	return d.String(), err
}

func span(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a time such as 90s, 10m or 180d", text)
	}
	return d, nil
}

// spanText is how people write a duration.
func spanText(d time.Duration) string {
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// units of sizes; M and MB are 1024 K, as in manifests.
var units = []struct {
	letter string
	bytes  int64
}{{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}}

func bytes(text string) (any, error) {
	digits, factor := strings.ToUpper(strings.TrimSpace(text)), int64(1)
	digits = strings.TrimSuffix(strings.TrimSuffix(digits, "B"), "I")
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.letter); ok {
			digits, factor = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/factor {
		return nil, fmt.Errorf("%q is not a size such as 500K, 10M or 1G", text)
	}
	return n * factor, nil
}

func bytesText(n int64) string {
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.letter
		}
	}
	return strconv.FormatInt(n, 10)
}

func float(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func percent(x float64) string { return strconv.FormatFloat(100*x, 'g', 6, 64) + " %" }
