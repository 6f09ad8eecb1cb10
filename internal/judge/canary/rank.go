package canary

import (
	"math"
	"slices"
)

// interval is how far a canary's samples are shifted from its baseline's.
type interval struct{ low, high, estimate float64 }

// shift is the interval of the shift x - y at a level, by the normal
// approximation of the Mann-Whitney test with continuity and tie correction, as
// R's wilcox.test(conf.int = TRUE, exact = FALSE) does it, and the median of all
// differences (Hodges and Lehmann 1963, "Estimates of location based on rank
// tests"). The root that R looks for lies at one of the differences, since
// nothing changes between them, so it is picked by its rank. Not ok: there is no
// spread at all.
func shift(x, y []float64, level float64) (interval, bool) {
	n, m := float64(len(x)), float64(len(y))
	sigma := math.Sqrt(n * m / 12 * (n + m + 1 - (ties(x)+ties(y))/((n+m)*(n+m-1))))
	if one(x) && one(y) || !(sigma > 0) {
		return interval{}, false
	}
	d := make([]float64, 0, len(x)*len(y))
	for _, a := range x {
		for _, b := range y {
			d = append(d, a-b)
		}
	}
	slices.Sort(d)
	z := math.Sqrt2 * math.Erfinv(level)
	// The bound is the smallest number of differences beyond it that is too many.
	k := int(n*m/2 + 0.5 + z*sigma)
	low, high := 0, len(d)-1
	if k < len(d) {
		low, high = len(d)-1-k, k
	}
	return interval{low: d[low], high: d[high], estimate: (d[(len(d)-1)/2] + d[len(d)/2]) / 2}, true
}

// ties is the sum of t^3 - t over the numbers that are there t times.
func ties(v []float64) float64 {
	sum, sorted := 0.0, slices.Sorted(slices.Values(v))
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		t := float64(j - i)
		sum += t*t*t - t
		i = j
	}
	return sum
}

// one reports that there is no second number.
func one(v []float64) bool {
	for _, f := range v {
		if f != v[0] {
			return false
		}
	}
	return len(v) > 0
}

// cles is how often a value of x is above one of y, ties counted half (common
// language effect size: McGraw and Wong 1992).
func cles(x, y []float64) float64 {
	sorted, above := slices.Sorted(slices.Values(y)), 0.0
	for _, v := range x {
		below, _ := slices.BinarySearch(sorted, v)
		upTo := below
		for upTo < len(sorted) && sorted[upTo] == v {
			upTo++
		}
		above += float64(below) + float64(upTo-below)/2
	}
	return above / float64(len(x)*len(y))
}

// meanRatio is the mean of x over that of y, NaN where one of them is 0.
func meanRatio(x, y []float64) float64 {
	a, b := mean(x), mean(y)
	if a == 0 || b == 0 {
		return math.NaN()
	}
	return a / b
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, f := range v {
		sum += f
	}
	return sum / float64(len(v))
}
