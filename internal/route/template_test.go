package route_test

import (
	"fmt"
	"strings"
	"testing"

	"naru/internal/route"
)

func TestPiecesOfATemplate(t *testing.T) {
	for text, want := range map[string]string{
		"":              "",
		"plain":         "plain",
		"a{x}b":         "a <x> b",
		"{x}{y}":        "<x>  <y> ",
		"{{x}}":         "{x}",
		"{{{x}}}":       "{ <x> }",
		"}{x}}":         "} <x> }",
		"}} {{":         "} {",
		"{}":            "<> ",
		"{a{b}":         "<a{b> ",
		"open {x":       "open  !{x",
		"{{{{ {{x":      "{{ {x",
		`{{"a": [{x}]}`: `{"a": [ <x> ]}`,
	} {
		var got strings.Builder
		for rest := text; ; {
			plain, name, after, found := route.Piece(rest)
			got.WriteString(plain)
			if !found {
				if after != "" {
					fmt.Fprintf(&got, " !%s", after)
				}
				break
			}
			fmt.Fprintf(&got, " <%s> ", name)
			rest = after
		}
		if strings.TrimLeft(got.String(), " ") != want {
			t.Errorf("%q is %q, want %q", text, got.String(), want)
		}
	}
}
