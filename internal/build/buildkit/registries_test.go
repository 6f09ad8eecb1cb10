package buildkit

import (
	"reflect"
	"testing"
)

func TestMirrorsOfRegistries(t *testing.T) {
	own := []RegistryAt{{Host: "127.0.0.1:5000", HTTP: true}}
	got := WithMirrors(own, []string{
		"docker.io=http://mirror:5000/hub/", "quay.io=http://mirror:5000", "docker.io=https://second.example", "ghcr.io=http://127.0.0.1:5000",
	})
	want := []RegistryAt{
		{Host: "127.0.0.1:5000", HTTP: true},
		{Host: "docker.io", Mirrors: []string{"mirror:5000/hub", "second.example"}},
		{Host: "mirror:5000", HTTP: true},
		{Host: "quay.io", Mirrors: []string{"mirror:5000"}},
		{Host: "ghcr.io", Mirrors: []string{"127.0.0.1:5000"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(own) != 1 || own[0].Mirrors != nil {
		t.Errorf("the list that was given is %+v", own)
	}
}
