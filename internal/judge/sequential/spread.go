package sequential

import "math"

const (
	lengths = 12  // of time, each twice the one before
	batches = 8   // least batches of a length
	noise   = 0.5 // standard deviations that independent ones may seem to come together by chance
	careful = 3.0 // and those that the split may seem to be narrower than it is
	wary    = 2.0 // clumps are of different sizes, and large ones weigh more
	patient = 2   // a verdict needs batches of this length, to know what lasts longer than a block
	enough  = 40  // blocks with bad requests from which the split tells more
)

// ladder adds blocks up to batches of one, two, four... blocks, since what lasts
// longer than a block shows only in batches that are longer still (batch means).
// Of each length it keeps how many batches had any weight, and the sums of
// value^2/weight, value and weight over them.
type ladder [lengths]struct {
	n, square, value, weight float64
	half                     bool // a batch waits for its second half
	halfValue, halfWeight    float64
}

func (l *ladder) add(value, weight float64) {
	for i := range l {
		r := &l[i]
		if weight > 0 {
			r.n, r.square, r.value, r.weight = r.n+1, r.square+value*value/weight, r.value+value, r.weight+weight
		}
		if !r.half {
			r.half, r.halfValue, r.halfWeight = true, value, weight
			return
		}
		value, weight, r.half = value+r.halfValue, weight+r.halfWeight, false
	}
}

// rest is the sum over batches of a length of (value - mean*weight)^2/weight, and
// its degrees of freedom.
func (l *ladder) rest(i int) (sum, free float64) {
	r := &l[i]
	if r.n < 2 {
		return 0, 0
	}
	return r.square - r.value*r.value/r.weight, r.n - 1
}

// spread learns how many bad requests come together, and for how long.
type spread struct {
	side  [2]ladder // of each side: bad requests, by requests
	split ladder    // bad ones of the canary beyond its share, by their variance
}

// clump is how many bad requests make one, at least 1, and the length of time
// within which they come together; not ok while too little was seen to say. On
// each side bad requests are counted over time: where they come together, batches
// vary by more than their number (index of dispersion). That is too much where
// they come together on both sides, from a common cause; so when enough was seen,
// it is no more than what the split between the sides varies by. Variance is that
// of the split as it is, against that of a canary like its baseline.
func (s *spread) clump(variance float64) (size float64, length int, ok bool) {
	if s.side[0][0].value+s.side[1][0].value == 0 {
		return 1, 0, s.side[1][patient].n > batches // nothing bad, nothing together
	}
	var sizes [lengths]float64
	size = 1
	for i := range sizes {
		sum, free, bad := 0.0, 0.0, 0.0
		for side := range s.side {
			of := &s.side[side][i]
			if rest, n := s.side[side].rest(i); n > 0 && of.value > 0 {
				sum, free, bad = sum+rest*of.weight/of.value, free+n, bad+of.value
			}
		}
		if free < batches {
			break
		}
		sizes[i] = sum/free - noise*math.Sqrt(2/free+1/bad)
		size, ok = max(size, sizes[i]), i >= patient
	}
	if most, known := s.shared(variance); known {
		size = min(size, most)
	}
	found := size
	size = 1 + wary*(size-1)
	for length < levels-1 && max(1, sizes[length]) < 0.7*found {
		length++
	}
	return size, length, ok
}

// shared is the largest clump that the split between the sides allows.
func (s *spread) shared(variance float64) (most float64, ok bool) {
	most = 1
	for i := range lengths {
		sum, free := s.split.rest(i)
		if i == 0 && free < enough || free < batches {
			break
		}
		most, ok = max(most, sum/free/variance*(1+careful*math.Sqrt(2/free))), true
	}
	return most, ok
}
