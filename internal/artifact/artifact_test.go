package artifact_test

import (
	"strings"
	"testing"

	"naru/internal/artifact"
)

func TestParseRef(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	for in, ok := range map[string]bool{
		"default/dev/shop@" + digest:      true,
		"shop@" + digest:                  true,
		"default/dev/shop":                false,
		"Default/shop@" + digest:          false,
		"../shop@" + digest:               false,
		"shop@sha256:abc":                 false,
		"127.0.0.1:5000/shop@" + digest:   false,
		strings.Repeat("a", 256) + digest: false,
	} {
		ref, err := artifact.ParseRef(in)
		if (err == nil) != ok {
			t.Errorf("ParseRef(%q) = %v, %v, want ok %v", in, ref, err, ok)
		}
		if ok && ref.String() != in {
			t.Errorf("ParseRef(%q).String() = %q", in, ref)
		}
	}
}
