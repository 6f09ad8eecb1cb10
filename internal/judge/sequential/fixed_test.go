package sequential

import (
	"math"
	"slices"
)

// fixedSize is the least number of canary requests with which a one-sided test
// that looks once finds base*times against base in 95 of 100 cases, at a false
// alarm rate of 1 %: exact, by adding up all outcomes (to seven standard
// deviations), ordered by the pooled z statistic, with the critical value for the
// very base rate. No test that has to work without knowing it needs less.
func fixedSize(base, times, share float64) int {
	enough := func(n int) bool { return fixedPower(n, base, times, share) >= 0.95 }
	high := 8
	for !enough(high) {
		high *= 2
	}
	low := high / 2
	for high-low > max(1, high/500) {
		if mid := (low + high) / 2; enough(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

func fixedPower(n int, base, times, share float64) float64 {
	m := int(math.Round(float64(n) * (1 - share) / share))
	type outcome struct{ z, alike, worse float64 }
	var all []outcome
	bound := func(n int, p float64) (int, int) {
		mean, sd := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
		return max(0, int(mean-7*sd-8)), min(n, int(mean+7*sd+8))
	}
	lowY, highY := bound(m, base)
	lowX, _ := bound(n, base)
	_, highX := bound(n, base*times)
	for x := lowX; x <= highX; x++ {
		a, b := binomial(x, n, base), binomial(x, n, base*times)
		for y := lowY; y <= highY; y++ {
			p := float64(x+y) / float64(n+m)
			z := 0.0
			if p > 0 && p < 1 {
				z = (float64(x)/float64(n) - float64(y)/float64(m)) / math.Sqrt(p*(1-p)*(1/float64(n)+1/float64(m)))
			}
			c := binomial(y, m, base)
			all = append(all, outcome{z, a * c, b * c})
		}
	}
	slices.SortFunc(all, func(a, b outcome) int {
		switch {
		case a.z > b.z:
			return -1
		case a.z < b.z:
			return 1
		}
		return 0
	})
	alarm, power := 0.0, 0.0
	for i := 0; i < len(all); {
		j, more, hit := i, 0.0, 0.0
		for ; j < len(all) && all[j].z == all[i].z; j++ {
			more, hit = more+all[j].alike, hit+all[j].worse
		}
		if alarm+more > 0.01 {
			break
		}
		alarm, power, i = alarm+more, power+hit, j
	}
	return power
}

func binomial(k, n int, p float64) float64 {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return math.Exp(lg(n) - lg(k) - lg(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}
