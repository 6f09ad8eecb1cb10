package size

import "testing"

func TestText(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 2469606195: "2.3 GiB", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 512 << 20: "512 MiB", 3 << 29: "1.5 GiB",
		64<<20 + 1: "64.0 MiB", 1 << 40: "1 TiB", -5: "-5 B",
	} {
		if got := Text(bytes); got != want {
			t.Errorf("Text(%d) = %q, want %q", bytes, got, want)
		}
	}
}

func TestMiB(t *testing.T) {
	for mib, want := range map[int]string{
		0: "0 MiB", 900: "900 MiB", 1000: "1,000 MiB", 22528: "22,528 MiB", 1234567: "1,234,567 MiB", -1500: "-1,500 MiB", -900: "-900 MiB",
	} {
		if got := MiB(mib); got != want {
			t.Errorf("MiB(%d) = %q, want %q", mib, got, want)
		}
	}
}
