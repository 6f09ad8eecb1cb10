package rule

import (
	"regexp"
	"strings"
)

// fields are those of terms that no key's path names.
var fields = map[string]string{
	"policy.maintenance": "maintenance", "policy.maintenance.message": "maintenance", "policy.addresses": "allow", "policy.auth": "auth.user", "policy.auth.users": "auth.user",
	"policy.rates": "rate", "policy.rates.requests": "rate", "policy.rates.per": "rate", "policy.rates.burst": "rate", "policy.rates.by": "rate",
	"policy.faults": "fault.delay", "policy.faults.delay": faultKey(faultDelay), "policy.faults.abort": faultKey(faultAbort), "policy.faults.share": faultKey(faultShare),
	"policy.faults.match": faultKey(faultHeader), "policy.faults.match.header": faultKey(faultHeader), "policy.faults.match.value": faultKey(faultHeader),
	"policy.faults.match.cookie": faultKey(faultCookie), "policy.sticky.cookie": "sticky", "policy.sticky.header": "sticky", "policy.retries.attempts": "retries",
}

func faultKey(part string) string { return "fault." + part }

var inList = regexp.MustCompile(`\[\d+\]`)

// KeyOf returns the key that sets a field of terms, as an error of the API names
// it; what no key sets stays as it is.
func KeyOf(field string) string {
	plain := inList.ReplaceAllString(field, "")
	if key, ok := fields[plain]; ok {
		return key
	}
	if strings.HasPrefix(plain, "policy.auth.users.") {
		return "auth.user"
	}
	for _, k := range table {
		name, in := strings.CutPrefix(plain, k.path)
		if k.path != "" && in && (name == "" || named(k.Name)) {
			return k.Name + name
		}
	}
	return field
}
