package auth_test

import (
	"testing"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
)

func who(grants ...auth.Grant) auth.Identity {
	id := auth.Identity{UserID: "u", Name: "ada", Grants: grants}
	for _, g := range grants {
		id.Admin = id.Admin || g.Role == auth.Admin
	}
	return id
}

func in(r auth.Role) auth.Grant {
	switch r.Scope() {
	case auth.InOrg:
		return auth.Grant{Role: r, Org: "o"}
	case auth.InSpace:
		return auth.Grant{Role: r, Org: "o", Space: "s"}
	}
	return auth.Grant{Role: r}
}

func TestRoles(t *testing.T) {
	for name, tc := range map[string]struct {
		role  auth.Role
		do    auth.Action
		org   app.OrgID
		space app.SpaceID
		want  bool
	}{
		"admin bakes":                          {auth.Admin, auth.FoundationBake, "", "", true},
		"admin pushes anywhere":                {auth.Admin, auth.AppWrite, "x", "y", true},
		"developer pushes in the space":        {auth.SpaceDeveloper, auth.AppWrite, "o", "s", true},
		"developer pushes not elsewhere":       {auth.SpaceDeveloper, auth.AppWrite, "o", "t", false},
		"developer sees the org":               {auth.SpaceDeveloper, auth.OrgRead, "o", "", true},
		"developer sees no other org":          {auth.SpaceDeveloper, auth.OrgRead, "p", "", false},
		"developer manages no roles":           {auth.SpaceDeveloper, auth.SpaceManage, "o", "s", false},
		"developer reads the platform":         {auth.SpaceDeveloper, auth.PlatformRead, "", "", true},
		"developer manages no platform":        {auth.SpaceDeveloper, auth.PlatformManage, "", "", false},
		"auditor sees the space":               {auth.SpaceAuditor, auth.SpaceRead, "o", "s", true},
		"auditor changes nothing":              {auth.SpaceAuditor, auth.AppOperate, "o", "s", false},
		"auditor sees no environment":          {auth.SpaceAuditor, auth.EnvRead, "o", "s", false},
		"supporter restarts":                   {auth.SpaceSupporter, auth.AppOperate, "o", "s", true},
		"supporter does not push":              {auth.SpaceSupporter, auth.AppWrite, "o", "s", false},
		"org manager manages spaces of it":     {auth.OrgManager, auth.SpaceManage, "o", "any", true},
		"org manager does not push":            {auth.OrgManager, auth.AppWrite, "o", "s", false},
		"org user sees the org":                {auth.OrgUser, auth.OrgRead, "o", "", true},
		"org user sees no space":               {auth.OrgUser, auth.SpaceRead, "o", "s", false},
		"nobody may what no rule names":        {auth.Admin, "coffee.make", "", "", false},
		"a space role says nothing of the org": {auth.SpaceManager, auth.OrgManage, "o", "", false},
	} {
		if got := auth.Can(who(in(tc.role)), tc.do, tc.org, tc.space); got != tc.want {
			t.Errorf("%s: Can = %v, want %v", name, got, tc.want)
		}
	}
}

func TestStrangersMayNothing(t *testing.T) {
	for _, rule := range auth.Rules() {
		if auth.Can(auth.Identity{}, rule.Action, "o", "s") {
			t.Errorf("without a login: %s is allowed", rule.Action)
		}
		if !auth.Can(who(in(auth.Admin)), rule.Action, "o", "s") {
			t.Errorf("admin may not %s", rule.Action)
		}
		if auth.Can(who(), rule.Action, "o", "s") != rule.Anyone {
			t.Errorf("without a role: %s is allowed, or not, against its rule", rule.Action)
		}
	}
}

func TestUnseenIsNotFoundAndSeenIsDenied(t *testing.T) {
	for name, tc := range map[string]struct {
		who  auth.Identity
		do   auth.Action
		kind fault.Kind
	}{
		"no login":              {auth.Identity{}, auth.AppWrite, fault.Unauthenticated},
		"a stranger":            {who(), auth.AppWrite, fault.NotFound},
		"developer of another":  {who(auth.Grant{Role: auth.SpaceDeveloper, Org: "o", Space: "t"}), auth.AppWrite, fault.NotFound},
		"auditor of the space":  {who(in(auth.SpaceAuditor)), auth.AppWrite, fault.Denied},
		"manager of the org":    {who(in(auth.OrgManager)), auth.AppWrite, fault.Denied},
		"only user of the org":  {who(in(auth.OrgUser)), auth.AppWrite, fault.NotFound},
		"developer, of its app": {who(in(auth.SpaceDeveloper)), auth.AppWrite, ""},
	} {
		err := auth.Check(tc.who, tc.do, "o", "s", `app "shop"`)
		if tc.kind == "" && err != nil || tc.kind != "" && !fault.Is(err, tc.kind) {
			t.Errorf("%s: err = %v, want kind %q", name, err, tc.kind)
		}
	}
}

func TestGrantsFitTheirPlace(t *testing.T) {
	for _, r := range auth.Roles() {
		if err := in(r).Check(); err != nil {
			t.Errorf("%s in its place: %v", r, err)
		}
	}
	for name, g := range map[string]auth.Grant{
		"no role":             {Role: "king"},
		"admin of a space":    {Role: auth.Admin, Org: "o", Space: "s"},
		"org role in a space": {Role: auth.OrgManager, Org: "o", Space: "s"},
		"space without org":   {Role: auth.SpaceDeveloper, Space: "s"},
	} {
		if err := g.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: err = %v, want Invalid", name, err)
		}
	}
}
