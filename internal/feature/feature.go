// Package feature says which features of the platform are switched on, and refuses
// what takes one that is switched off.
package feature

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"naru/internal/fault"
)

// Name names a feature. The names are those of Cloud Foundry's v3 API.
type Name string

// The features that can be switched.
const (
	AppBitsUpload           Name = "app_bits_upload"
	AppScaling              Name = "app_scaling"
	DiegoDocker             Name = "diego_docker"
	EnvVarVisibility        Name = "env_var_visibility"
	PrivateDomainCreation   Name = "private_domain_creation"
	RouteCreation           Name = "route_creation"
	ServiceInstanceCreation Name = "service_instance_creation"
	SetRolesByUsername      Name = "set_roles_by_username"
	SpaceDeveloperEnv       Name = "space_developer_env_var_visibility"
	TaskCreation            Name = "task_creation"
	UnsetRolesByUsername    Name = "unset_roles_by_username"
	UserOrgCreation         Name = "user_org_creation"
)

// The features that are as they are.
const (
	DiegoCNB           Name = "diego_cnb"
	HashBasedRouting   Name = "hash_based_routing"
	HideMarketplace    Name = "hide_marketplace_from_unauthenticated_users"
	ResourceMatching   Name = "resource_matching"
	RouteSharing       Name = "route_sharing"
	ServiceSharing     Name = "service_instance_sharing"
	SpaceScopedBrokers Name = "space_scoped_private_broker_creation"
)

// maxMessage is how long a message may be, in characters, as in Cloud Foundry.
const maxMessage = 250

// spared says who has a feature that is switched off all the same.
type spared int

const (
	nobody  spared = iota
	admins         // administrators
	readers        // administrators, and those that only read
)

// Feature is something that may be switched on and off, and how it is now.
type Feature struct {
	Name    Name
	About   string // what it lets people do
	On      bool
	Message string    // told to whom it is refused; "": the platform's own words
	Updated time.Time // when it was switched last; zero: never
	Fixed   string    // why it stays as it is; "": it can be switched
	spared  spared
}

// State is what is kept of a feature that was switched.
type State struct {
	Name    Name
	On      bool
	Message string
	Updated time.Time
}

// all are the features as they are when nobody has switched them.
func all() []Feature {
	return []Feature{
		{Name: AppBitsUpload, On: true, spared: admins, About: "upload the files of apps"},
		{Name: AppScaling, On: true, spared: admins, About: "change how many instances an app has, and what each may take"},
		{Name: DiegoCNB, About: "build with Cloud Native Buildpacks", Fixed: "naru builds with its own builders, classic buildpacks and Dockerfiles"},
		{Name: DiegoDocker, On: true, About: "push and start images of other registries; off, administrators cannot either"},
		{Name: EnvVarVisibility, On: true, About: "read the environment of apps; off, administrators cannot either"},
		{Name: HashBasedRouting, About: "balance the requests of a route by a header", Fixed: "naru's gateway keeps visitors together by its own rules: naru route set HOST"},
		{Name: HideMarketplace, On: true, About: "show what there is of services only to who is logged in", Fixed: "naru shows nothing without a login"},
		{Name: PrivateDomainCreation, On: true, spared: admins, About: "make domains of an organisation's own"},
		{Name: ResourceMatching, On: true, About: "leave out files of uploads that are there already", Fixed: "naru keeps each file once"},
		{Name: RouteCreation, On: true, spared: admins, About: "make routes"},
		{Name: RouteSharing, About: "share routes between spaces", Fixed: "a route of naru belongs to one space"},
		{Name: ServiceInstanceCreation, On: true, spared: admins, About: "make services, those that people provide included"},
		{Name: ServiceSharing, About: "share services between spaces", Fixed: "a service of naru belongs to one space"},
		{Name: SetRolesByUsername, On: true, spared: admins, About: "give roles to people"},
		{Name: SpaceDeveloperEnv, On: true, spared: readers, About: "read the environment of apps as a developer or supporter of their space"},
		{Name: SpaceScopedBrokers, About: "make service brokers for one space", Fixed: "service brokers are the platform's"},
		{Name: TaskCreation, On: true, spared: admins, About: "run tasks"},
		{Name: UnsetRolesByUsername, On: true, spared: admins, About: "take roles from people"},
		{Name: UserOrgCreation, spared: admins, About: "make organisations, and manage them then"},
	}
}

// plain are the features as they are when nobody has switched them, by name; made
// once, nobody changes it.
var plain = func() map[Name]Feature {
	out := map[Name]Feature{}
	for _, f := range all() {
		out[f.Name] = f
	}
	return out
}()

// Set is what was switched, by name. It never changes; nil is that nothing was.
type Set map[Name]State

// Feature returns a feature as it is; a name that there is none of is a NotFound.
func (s Set) Feature(n Name) (Feature, error) {
	f, ok := plain[n]
	if !ok {
		return f, fault.New(fault.NotFound, "feature", "feature %q does not exist", n).WithTry("naru features")
	}
	if st, switched := s[n]; switched && f.Fixed == "" {
		f.On, f.Message, f.Updated = st.On, st.Message, st.Updated
	}
	return f, nil
}

// Features returns all features as they are, by name.
func (s Set) Features() []Feature {
	out := all()
	for i := range out {
		out[i], _ = s.Feature(out[i].Name) // it is one of them
	}
	slices.SortFunc(out, func(a, b Feature) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return out
}

// Disabled is why something is refused: it takes a feature that is switched off.
type Disabled struct {
	Name    Name
	Message string // of who switched it off; "": none
}

// Error says which feature is switched off, and what was said about it.
func (d *Disabled) Error() string {
	if d.Message != "" {
		return fmt.Sprintf("the feature %q is switched off: %s", d.Name, d.Message)
	}
	return fmt.Sprintf("the feature %q is switched off", d.Name)
}

// Fault is the refusal with the way out.
func (d *Disabled) Fault() *fault.Error {
	return fault.New(fault.Denied, "", "%s", d.Error()).
		WithTry("ask an admin, who switches it on with: naru features %s on", d.Name).WithCause(d)
}

// checkMessage refuses words that cannot be shown.
func checkMessage(text string) error {
	switch {
	case len([]rune(text)) > maxMessage:
		return fault.New(fault.Invalid, "message", "a message has at most %d characters (got %d)", maxMessage, len([]rune(text)))
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault.New(fault.Invalid, "message", "there is a character in the message that cannot be shown").WithTry("write it on one line")
	}
	return nil
}
