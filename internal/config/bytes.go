package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size, written as 512KiB, 256MiB, 2GiB, or a plain number of bytes.
// K, M, G and T alone mean the same powers of 1024, as in Cloud Foundry.
type Bytes int64

// The units of Bytes.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

var units = []struct {
	name string
	size Bytes
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

// String writes the size in the largest unit that leaves a whole number.
func (b Bytes) String() string {
	for _, u := range units {
		if b >= u.size && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText writes what String gives.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.ToLower(strings.TrimSpace(string(text)))
	digits := strings.TrimRight(s, "kmgtib ")
	unit := strings.TrimSpace(s[len(digits):])
	var size Bytes
	switch unit {
	case "", "b":
		size = 1
	case "k", "kb", "kib":
		size = KiB
	case "m", "mb", "mib":
		size = MiB
	case "g", "gb", "gib":
		size = GiB
	case "t", "tb", "tib":
		size = TiB
	default:
		return fmt.Errorf("is not a size such as 512MiB or 2GiB")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return fmt.Errorf("is not a size such as 512MiB or 2GiB")
	}
	if n < 0 || n > math.MaxInt64/int64(size) {
		return fmt.Errorf("is out of range")
	}
	*b = Bytes(n) * size
	return nil
}

// UnmarshalText reads a prefix; the empty text is the zero Prefix.
func (p *Prefix) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = Prefix{}
		return nil
	}
	if err := p.Prefix.UnmarshalText(text); err != nil {
		return fmt.Errorf("is not a prefix such as 10.64.0.0/20")
	}
	return nil
}

// MarshalText writes the prefix, nothing for the zero one.
func (p Prefix) MarshalText() ([]byte, error) {
	if !p.IsValid() {
		return nil, nil
	}
	return p.Prefix.MarshalText()
}
