package auth

import (
	"naru/internal/app"
	"naru/internal/fault"
)

// Role is what somebody is in a place. The names are those of Cloud Foundry's v3 API.
type Role string

// The roles. Admin, AdminReadOnly and GlobalAuditor hold on the whole platform,
// those of an organisation in it and, where the table says so, in all its spaces,
// those of a space in it.
const (
	Admin             Role = "admin"
	AdminReadOnly     Role = "admin_read_only" // sees what Admin sees, and changes nothing
	GlobalAuditor     Role = "global_auditor"  // the same without what may be secret
	OrgUser           Role = "organization_user"
	OrgManager        Role = "organization_manager"
	OrgAuditor        Role = "organization_auditor"
	OrgBillingManager Role = "organization_billing_manager"
	SpaceDeveloper    Role = "space_developer"
	SpaceManager      Role = "space_manager"
	SpaceAuditor      Role = "space_auditor"
	SpaceSupporter    Role = "space_supporter"
)

// Roles returns every role.
func Roles() []Role {
	return []Role{
		Admin, AdminReadOnly, GlobalAuditor, OrgUser, OrgManager, OrgAuditor, OrgBillingManager,
		SpaceDeveloper, SpaceManager, SpaceAuditor, SpaceSupporter,
	}
}

// Scope is how far a role reaches.
type Scope string

// The scopes.
const (
	Platform Scope = "platform"
	InOrg    Scope = "org"
	InSpace  Scope = "space"
)

// Scope returns how far a role reaches; "" for what is no role.
func (r Role) Scope() Scope {
	switch r {
	case Admin, AdminReadOnly, GlobalAuditor:
		return Platform
	case OrgUser, OrgManager, OrgAuditor, OrgBillingManager:
		return InOrg
	case SpaceDeveloper, SpaceManager, SpaceAuditor, SpaceSupporter:
		return InSpace
	}
	return ""
}

// Grant is a role held in a place. A grant in a space names the space's
// organisation too.
type Grant struct {
	Role  Role
	Org   app.OrgID   // "" for a role on the platform
	Space app.SpaceID // "" unless the role is one of a space
}

// Check refuses a grant whose place does not fit its role.
func (g Grant) Check() error {
	scope := g.Role.Scope()
	switch {
	case scope == "":
		return fault.New(fault.Invalid, "role", "%q is not a role", g.Role).
			WithTry("use one of %s", join(Roles()))
	case scope == Platform && (g.Org != "" || g.Space != ""):
		return fault.New(fault.Invalid, "role", "the role %s holds on the whole platform, not in a place", g.Role)
	case scope == InOrg && (g.Org == "" || g.Space != ""):
		return fault.New(fault.Invalid, "org", "the role %s holds in an organisation", g.Role)
	case scope == InSpace && (g.Org == "" || g.Space == ""):
		return fault.New(fault.Invalid, "space", "the role %s holds in a space", g.Role)
	}
	return nil
}

// covers reports whether the grant holds in a place; a place without space is
// the organisation, one without organisation the platform.
func (g Grant) covers(org app.OrgID, space app.SpaceID) bool {
	switch g.Role.Scope() {
	case Platform:
		return true
	case InOrg:
		return org != "" && g.Org == org
	case InSpace:
		return space != "" && g.Space == space
	}
	return false
}

// Holding is a grant and who holds it.
type Holding struct {
	User UserID
	Grant
}

func join(roles []Role) string {
	s := ""
	for i, r := range roles {
		if i > 0 {
			s += ", "
		}
		s += string(r)
	}
	return s
}
