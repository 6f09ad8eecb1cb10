package api

import (
	"net/http"
	"testing"
)

func TestRemoteBelievesTheGatewayForOneHop(t *testing.T) {
	s := &server{cfg: Config{Via: "word", ViaField: "X-Naru-Via"}}
	for name, tc := range map[string]struct {
		via, forwarded, want string
	}{
		"directly":                     {"", "", "127.0.0.1"},
		"directly, with a claim":       {"", "203.0.113.9", "127.0.0.1"},
		"a wrong word":                 {"guess", "203.0.113.9", "127.0.0.1"},
		"through the gateway":          {"word", "203.0.113.9", "203.0.113.9"},
		"through it, with a claim too": {"word", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
		"through it, with nonsense":    {"word", "nobody", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: "127.0.0.1:5000", Header: http.Header{}}
			if tc.via != "" {
				r.Header.Set("X-Naru-Via", tc.via)
			}
			if tc.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tc.forwarded)
			}
			if got := s.remote(r); got != tc.want {
				t.Errorf("remote = %q, want %q", got, tc.want)
			}
		})
	}
}
