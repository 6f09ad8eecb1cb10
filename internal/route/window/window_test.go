package window

import "testing"

func TestWhatHappenedLongAgoIsForgotten(t *testing.T) {
	const length = 10_000
	var w Window
	for i := range 10 {
		w.Count(true, int64(i)*1000, length)
	}
	if all, failed := w.Sum(9000, length); all != 10 || failed != 10 {
		t.Errorf("%d of %d, want 10 of 10", failed, all)
	}
	if all, _ := w.Sum(14_000, length); all != 5 {
		t.Errorf("%d are kept after half the time, want 5", all)
	}
	if all, _ := w.Sum(19_000, length); all != 0 {
		t.Errorf("%d are kept for too long", all)
	}
	w.Count(false, 19_000, length)
	if all, failed := w.Sum(19_000, length); all != 1 || failed != 0 {
		t.Errorf("%d of %d, want 0 of 1", failed, all)
	}
	w.Clear()
	if all, _ := w.Sum(19_000, length); all != 0 {
		t.Errorf("%d are kept", all)
	}
}
