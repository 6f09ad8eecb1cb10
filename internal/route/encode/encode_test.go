package encode_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"naru/internal/route/encode"
)

func FuzzTexts(f *testing.F) {
	for _, s := range []string{"", "plain", `"quoted" \ <b> & more`, "\x00\n\x7f", "ü \u2028 \xff", "a&b", "a longer one, ordinary from begin to end"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := encode.JSON([]byte("x"), s); string(got) != "x"+string(want) {
			t.Errorf("got  %s\nwant x%s", got, want)
		}
		if got, want := encode.Quoted([]byte("x"), s), "x"+strconv.Quote(s); string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// TestEachByteAtEachPlace: eight bytes are looked at together.
func TestEachByteAtEachPlace(t *testing.T) {
	for c := range 256 {
		for size := range 20 {
			for at := range size {
				for _, around := range []string{"a", "!", "~", "#", "%", "[", "]", "=", "?"} {
					s := []byte(strings.Repeat(around, size))
					s[at] = byte(c)
					want, err := json.Marshal(string(s))
					if err != nil {
						t.Fatal(err)
					}
					if got := encode.JSON(nil, string(s)); string(got) != string(want) {
						t.Fatalf("got  %s\nwant %s", got, want)
					}
					if got, want := encode.Quoted(nil, string(s)), strconv.Quote(string(s)); string(got) != want {
						t.Fatalf("got  %s\nwant %s", got, want)
					}
				}
			}
		}
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		0: {"0", "0.000000"}, 1: {"0.000000001", "0.000000"}, 11962 * time.Microsecond: {"0.011962", "0.011962"},
		time.Hour: {"3600", "3600.000000"}, 1500*time.Millisecond + 1: {"1.500000001", "1.500000"}, 999_999_999: {"0.999999999", "1.000000"},
		-5 * time.Millisecond: {"-0.005", "-0.005000"}, 100: {"0.0000001", "0.000000"}, 1700: {"0.0000017", "0.000002"},
	} {
		if got := string(encode.Seconds(nil, d)); got != want[0] {
			t.Errorf("Seconds(%d) = %s, want %s", d, got, want[0])
		}
		if got := string(encode.Micros(nil, d)); got != want[1] {
			t.Errorf("Micros(%d) = %s, want %s", d, got, want[1])
		}
	}
}

// TestTimes has one clock write many, some in the same second.
func TestTimes(t *testing.T) {
	var c encode.Clock
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(1_700_000_000, 5), time.Unix(1_700_000_000, 120_000_000), time.Unix(1_700_000_001, 0),
		time.Date(12_345, 1, 2, 3, 4, 5, 6, time.UTC), time.Unix(1_700_000_001, 999_999_999), time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)),
	} {
		if got, want := string(c.Append(nil, at)), at.UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := string(c.AppendNanos(nil, at)), at.UTC().Format("2006-01-02T15:04:05.000000000Z"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestHex(t *testing.T) {
	for _, n := range []uint64{0, 1, 0x0123456789abcdef, 0xfedcba9876543210, ^uint64(0)} {
		var got [16]byte
		encode.Hex(got[:], n)
		want := []byte(fmt.Sprintf("%016x", n))
		for i := range 8 {
			want[i], want[15-i] = want[15-i], want[i]
		}
		if string(got[:]) != string(want) {
			t.Errorf("%x is %s, want %s", n, got, want)
		}
	}
}

func BenchmarkTexts(b *testing.B) {
	const s = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
	var text []byte
	for name, f := range map[string]func([]byte, string) []byte{"JSON": encode.JSON, "Quoted": encode.Quoted} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				text = f(text[:0], s)
			}
		})
	}
}
