// Package vault keeps sealed what people entrust to naru: the secret settings of
// apps, the credentials of git hosts and registries, keys of certificates, and
// where logs are drained to.
package vault

import (
	"time"

	"naru/internal/app"
)

// Kind says what a credential opens.
type Kind string

// The kinds of credentials.
const (
	Git      Kind = "git"
	Registry Kind = "registry"
)

// Credential opens a host for the builds and images of a space. It holds no
// secret: that stays sealed in the store.
type Credential struct {
	Space    app.SpaceID
	Host     string // "git.example.com", "registry.example.com:5000"
	Kind     Kind
	Username string
	By       string // who set it
	Created  time.Time
	Updated  time.Time
}

// Sealed is a sealed value and what it belongs to: either a setting of an app
// (App and Name), or a credential, certificate or drain (Space, Host and Kind).
type Sealed struct {
	App  app.ID
	Name string

	Space app.SpaceID
	Host  string
	Kind  Kind

	Value string // "KEYID.BASE64", as secret.Keyring seals it
}

// Owner is what the value is bound to: sealed for one owner, it opens for no
// other.
func (s Sealed) Owner() string {
	if s.App != "" {
		return "app/" + string(s.App) + "/" + s.Name
	}
	return "credential/" + string(s.Space) + "/" + string(s.Kind) + "/" + s.Host
}
