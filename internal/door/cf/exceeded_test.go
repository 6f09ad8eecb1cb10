package cf

import (
	"fmt"
	"testing"

	"naru/internal/pipeline/quota"
)

// Clients know the first words; what follows says which quota, and how much.
func TestQuotasThatAreExceeded(t *testing.T) {
	org := quota.Held{Quota: quota.Quota{Name: "small"}, Place: "acme"}
	space := quota.Held{Quota: quota.Quota{Name: "tiny", Org: "an id"}, Place: "site"}
	for want, e := range map[string]*quota.Exceeded{
		`memory quota_exceeded: the quota "small" of`:                            {Resource: quota.Memory, Held: org},
		`memory space_quota_exceeded: the quota "tiny" of`:                       {Resource: quota.Memory, Held: space},
		`You have exceeded your space's services limit: the quota "tiny" of`:     {Resource: quota.Services, Held: space},
		`Routes quota exceeded for organization 'acme': the quota "small" of`:    {Resource: quota.Routes, Held: org},
		`Reserved route ports quota exceeded for space 'site': the quota "tiny"`: {Resource: quota.Ports, Held: space},
	} {
		got, ok := exceeded(fmt.Errorf("map route: %w", e))
		if detail := got.Error(); !ok || len(detail) < len(want) || detail[:len(want)] != want {
			t.Errorf("got %q\nwant %q", detail, want)
		}
	}
}
