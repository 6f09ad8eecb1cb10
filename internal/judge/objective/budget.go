package objective

import "time"

// Budget is how long a period of this length may be all bad: 43.2 minutes of 30
// days at 99.9 %.
func Budget(target float64, period time.Duration) time.Duration {
	return time.Duration((1 - target) * float64(period))
}

// Used is the share of the budget that a share of bad events has used: 1 is all.
func Used(target, badShare float64) float64 { return badShare / (1 - target) }

// BurnRate is how fast the budget goes while this share of events is bad: 1 uses it
// up exactly at the end of the period.
func BurnRate(target, badShare float64) float64 { return badShare / (1 - target) }

// UsedBy is the share of the budget that a burn rate uses up in some time.
func UsedBy(rate float64, during, period time.Duration) float64 {
	return rate * float64(during) / float64(period)
}

// Exhaustion is how long what is left of the budget lasts at a burn rate. It
// reports false where it lasts for longer than a period, or for ever.
func Exhaustion(left, rate float64, period time.Duration) (time.Duration, bool) {
	switch {
	case left <= 0:
		return 0, true
	case rate <= 0 || left/rate > 1:
		return 0, false
	}
	return time.Duration(left / rate * float64(period)), true
}

// Detection is how long a steady share of bad events takes until the average over
// a window, all good before, passes an alert's threshold. It reports false where it
// never does.
func Detection(window time.Duration, threshold, badShare float64) (time.Duration, bool) {
	if badShare <= threshold {
		return 0, false
	}
	return time.Duration(float64(window) * threshold / badShare), true
}

// FirstAlone is the least number of events at which one bad one among them does not
// pass an alert's threshold: with fewer one unlucky request would alarm.
func FirstAlone(threshold float64) float64 {
	n := 1 / threshold
	if r := float64(int64(n)); n-r > 1e-9*n {
		return r + 1
	} else {
		return r
	}
}
