package sender

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"naru/internal/fault"
)

func TestTokens(t *testing.T) {
	ours, theirs := NewTokens([]byte("ours")), NewTokens([]byte("theirs"))
	token := ours.Sign("app1", "instance1")
	if a, i, ok := ours.Read(token); !ok || a != "app1" || i != "instance1" || !Is(token) {
		t.Errorf("read %q, %q, %t of %q", a, i, ok, token)
	}
	for name, bad := range map[string]string{
		"of another platform": theirs.Sign("app1", "instance1"), "another app": strings.Replace(token, "app1", "app2", 1),
		"cut": token[:len(token)-1], "no signature": token[:strings.LastIndexByte(token, '.')+1], "no parts": prefix, "nothing": "", "another kind": "naru_pat_x",
		"more parts": token + ".x",
	} {
		if a, i, ok := ours.Read(bad); ok {
			t.Errorf("%s: %q is read as %q, %q", name, bad, a, i)
		}
	}
}

func TestOf(t *testing.T) {
	token := NewTokens([]byte("k")).Sign("a", "i")
	basic := func(user, password string) string {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		return r.Header.Get("Authorization")
	}
	for name, tc := range map[string]struct {
		header map[string]string
		want   Asked
	}{
		"nothing":              {nil, Asked{}},
		"a token":              {map[string]string{"X-Naru-Token": token}, Asked{Token: token}},
		"a bearer":             {map[string]string{"Authorization": "bearer  abc"}, Asked{Token: "abc"}},
		"both":                 {map[string]string{"Authorization": "Bearer abc", "X-Naru-Token": token}, Asked{Token: token}},
		"a person":             {map[string]string{"Authorization": basic("ann", "p:w")}, Asked{User: "ann", Password: "p:w"}},
		"a URL with a token":   {map[string]string{"Authorization": basic("app", token)}, Asked{Token: token}},
		"a space":              {map[string]string{"X-Naru-Space": "default/dev", "Authorization": "Bearer abc"}, Asked{Token: "abc", Space: "default/dev"}},
		"something else":       {map[string]string{"Authorization": "Digest x"}, Asked{}},
		"not what it says":     {map[string]string{"Authorization": "Basic !!!"}, Asked{}},
		"a kind without token": {map[string]string{"Authorization": "Bearer"}, Asked{}},
	} {
		h := http.Header{}
		for k, v := range tc.header {
			h.Set(k, v)
		}
		tc.want.Remote = "1.2.3.4"
		if got := Of(h.Get, "1.2.3.4:56"); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestPath(t *testing.T) {
	token := NewTokens([]byte("k")).Sign("a", "i")
	r := httptest.NewRequest(http.MethodPost, "/t/"+token+"/api/v2/spans?x=1", nil)
	got, ok := Path(r)
	if !ok || got.URL.Path != "/api/v2/spans" || got.Header.Get(TokenField) != token || got.URL.RawQuery != "x=1" || r.Header.Get(TokenField) != "" {
		t.Errorf("got %t, %s, %v", ok, got.URL, got.Header)
	}
	for _, path := range []string{"/t/", "/t/abc/api/v2/spans", "/api/v2/spans", "/t/" + token} {
		if got, ok := Path(httptest.NewRequest(http.MethodPost, path, nil)); ok {
			t.Errorf("%s became %s", path, got.URL)
		}
	}
}

func TestBody(t *testing.T) {
	packed := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		return b.String()
	}
	for name, tc := range map[string]struct {
		encoding, body, want string
		kind                 fault.Kind
	}{
		"plain":          {"", "hello", "hello", ""},
		"packed":         {"gzip", packed("hello"), "hello", ""},
		"just fits":      {"", strings.Repeat("x", 1000), strings.Repeat("x", 1000), ""},
		"too large":      {"", strings.Repeat("x", 1001), "", fault.TooLarge},
		"a bomb":         {"gzip", packed(strings.Repeat("x", 1_000_000)), "", fault.TooLarge},
		"not packed":     {"gzip", "hello", "", fault.Invalid},
		"cut":            {"gzip", packed("hello")[:20], "", fault.Invalid},
		"another packer": {"zstd", "hello", "", fault.Unsupported},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tc.body))
		r.Header.Set("Content-Encoding", tc.encoding)
		got, err := Body(httptest.NewRecorder(), r, 1000)
		if string(got) != tc.want || (tc.kind == "") != (err == nil) || err != nil && !fault.Is(err, tc.kind) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
