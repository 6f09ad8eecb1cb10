package cf_test

import "testing"

// NUL is in no name, and in no text that is kept: who sends it is told so, by path,
// by body, and not where it only looks like one.
func TestNUL(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := string(w.shop("shop").ID)
	for _, path := range []string{"/v3/apps/%00", "/v3/apps/" + a + "%00", "/v3/jobs/%00", "/v3/apps/%ff%fe"} {
		w.ask(404, "GET", path, "")
	}
	for body, want := range map[string]int{
		`{"var":{"A":"x\u0000"}}`:   422,
		`{"var":{"A":"x\\u0000"}}`:  200, // a backslash, and letters
		`{"var":{"A":"x\\\u0000"}}`: 422,
	} {
		w.ask(want, "PATCH", "/v3/apps/"+a+"/environment_variables", body)
	}
}
