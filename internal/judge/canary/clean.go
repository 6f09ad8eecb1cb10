package canary

import (
	"math"
	"slices"
)

// clean leaves NaNs and infinities out, or makes them 0.
func clean(v []float64, zero bool) []float64 {
	out := make([]float64, 0, len(v))
	for _, f := range v {
		switch {
		case !math.IsNaN(f) && !math.IsInf(f, 0):
			out = append(out, f)
		case zero:
			out = append(out, 0)
		}
	}
	return out
}

// inliers leaves out what lies beyond factor times the interquartile range
// (Tukey's fences), but never more than beyond the first and last percent.
func inliers(v []float64, factor float64) []float64 {
	if len(v) == 0 {
		return v
	}
	low, high := fences(v, factor, true)
	return slices.DeleteFunc(slices.Clone(v), func(f float64) bool { return f < low || f > high })
}

// fences are the bounds outside which a value is an outlier; reduced keeps all
// between the first and the 99th percentile.
func fences(v []float64, factor float64, reduced bool) (low, high float64) {
	q1, q3 := percentile(v, 0.25), percentile(v, 0.75)
	low, high = q1-factor*(q3-q1), q3+factor*(q3-q1)
	if reduced {
		low, high = min(low, percentile(v, 0.01)), max(high, percentile(v, 0.99))
	}
	return low, high
}

// percentile interpolates linearly between the two nearest values (R's type 7);
// p from 0 to 1.
func percentile(v []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// noisy tells equal values apart by a hundred-thousandth of them, like normal
// noise but always the same: the i-th value gets the i-th normal quantile.
func noisy(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, f := range v {
		p := (float64(i) + 0.5) / float64(len(v))
		out[i] = f + f*1e-5*math.Sqrt2*math.Erfinv(2*p-1)
	}
	return out
}
