// Package rendezvous sends equal values to the same place, in every process: each
// place has a score for each value, and the best one wins. When places come and go,
// only the values of those move.
package rendezvous

import "math"

// Hash is what stands for a value or the name of a place (FNV-1a).
func Hash[T string | []byte](b T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(b) {
		h = (h ^ uint64(b[i])) * 1099511628211
	}
	return h
}

// Score of a place for a value, by their hashes.
func Score(value, place uint64) uint64 { return mix(value ^ place) }

// Weighted is Score for places that are to get as much as they weigh: it rises with
// the weight, so that where a weight rises values move to its place only, and where
// one falls only from it.
func Weighted(value, place uint64, weight int) float64 {
	// The logarithm of an even number between 0 and 1.
	even := (float64(Score(value, place)>>11) + 0.5) / (1 << 53)
	return float64(weight) / -math.Log(even)
}

// mix spreads a hash over all bits (the end of splitmix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
