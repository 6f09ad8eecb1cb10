package route

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedPoliciesCanBeFollowed reads the examples of docs/routes.md.
func TestDocumentedPoliciesCanBeFollowed(t *testing.T) {
	text, err := os.ReadFile("../../docs/routes.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	if len(examples) < 10 {
		t.Fatalf("%d examples were found: the test looks in the wrong place", len(examples))
	}
	for _, m := range examples {
		e := struct {
			Policy
			Timeouts *Timeouts `json:"timeouts"` // stands beside the policy
		}{}
		d := json.NewDecoder(bytes.NewReader(m[1]))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Errorf("%s: %v", m[1], err)
		} else if err := e.Check("policy"); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
}

func TestPolicyHasBounds(t *testing.T) {
	prefixes := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("10.%d.%d.%d/32", i>>16, i>>8&255, i&255)
		}
		return out
	}
	fields := func(n int) map[string]string {
		out := map[string]string{}
		for i := range n {
			out[fmt.Sprint("X-", i)] = "{client}"
		}
		return out
	}
	users := func(hash string) *Policy { return &Policy{Auth: &Auth{Users: map[string]string{"ann": hash}}} }
	const rest = "i1RTxfyElxbHPBtSt2nxU..r2A/tcp9f1eSXLk/F6Er4isxRA72za"
	for name, tt := range map[string]struct {
		policy *Policy
		want   string // what the error names; "": none
	}{
		"as many prefixes as may be":            {&Policy{Addresses: &Addresses{Allow: prefixes(MaxPrefixes), Deny: prefixes(MaxPrefixes)}}, ""},
		"one prefix more":                       {&Policy{Addresses: &Addresses{Deny: prefixes(MaxPrefixes + 1)}}, "policy.addresses.deny: 10001"},
		"a prefix that is none":                 {&Policy{Addresses: &Addresses{Deny: []string{"10.0.0.0/8", "10.0.0.0/33"}}}, "policy.addresses.deny[1]"},
		"an address with a zone":                {&Policy{Maintenance: &Maintenance{Except: []string{"fe80::1%eth0"}}}, "policy.maintenance.except[0]"},
		"as many fields as may be":              {&Policy{Request: &Rules{Set: fields(MaxRules)}, Response: &Rules{Set: fields(MaxRules)}}, ""},
		"one field more":                        {&Policy{Request: &Rules{Set: fields(MaxRules)}, Response: &Rules{Set: fields(MaxRules + 1)}}, "policy.response"},
		"a field of the connection":             {&Policy{Request: &Rules{Set: map[string]string{"Expect": "100-continue"}}}, "policy.request.set"},
		"a field that ends its line":            {&Policy{Response: &Rules{Add: map[string][]string{"X-A": {"1", "2\r\nX-B: 3"}}}}, "policy.response.add.X-A[1]"},
		"a name that ends its line":             {&Policy{Response: &Rules{Remove: []string{"X-A\r\n"}}}, "policy.response.remove"},
		"a brace that is not closed":            {&Policy{Request: &Rules{Set: map[string]string{"X-A": "a {client"}}}, "policy.request.set.X-A"},
		"one brace too few":                     {&Policy{Request: &Rules{Set: map[string]string{"X-A": "{{{{{client"}}}, "policy.request.set.X-A"},
		"an unknown placeholder":                {&Policy{Request: &Rules{Set: map[string]string{"X-A": "{query}"}}}, "policy.request.set.X-A"},
		"a page that is too large":              {&Policy{Maintenance: &Maintenance{Page: strings.Repeat("x", MaxPage+1)}}, "policy.maintenance.page"},
		"a password":                            {users("secret"), "policy.auth.users.ann"},
		"a hash of bcrypt":                      {users("$2a$10$" + rest), ""},
		"a hash of Apache's":                    {users("$2y$05$" + rest), ""},
		"a hash that takes hours":               {users("$2a$31$" + rest), "policy.auth.users.ann"},
		"a hash with a line end":                {users("$2a$10$" + rest[:52] + "\n"), "policy.auth.users.ann"},
		"a redirect to a script":                {&Policy{Redirect: &Redirect{To: "javascript:alert(1)"}}, "policy.redirect.to"},
		"a redirect that leaves it to the path": {&Policy{Redirect: &Redirect{To: "https://{path}"}}, "policy.redirect.to"},
		"a redirect to another host's path":     {&Policy{Redirect: &Redirect{To: "//evil.test/"}}, "policy.redirect.to"},
		"a fault for nobody":                    {&Policy{Faults: []Fault{{Abort: 500}}}, "policy.faults[0].share"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.policy.Check("policy")
			if tt.want == "" && err != nil {
				t.Error(err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want it to name %s", err, tt.want)
			}
		})
	}
}
