package route

import "testing"

func TestBelow(t *testing.T) {
	for host, want := range map[string]bool{
		"naru.localhost": true, "api.naru.localhost": true, "*.naru.localhost": true, "a.b.naru.localhost": true,
		"localhost": false, "*.localhost": false, "xnaru.localhost": false, "shop.localhost": false,
	} {
		if got := Below(host, "naru.localhost"); got != want {
			t.Errorf("Below(%q) = %v, want %v", host, got, want)
		}
	}
	if Below("shop.localhost", "") {
		t.Error("without a domain nothing is below it")
	}
}
