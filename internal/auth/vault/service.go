package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/operation"
	"naru/internal/secret"
)

// Store keeps sealed values; each call is one transaction.
type Store interface {
	SetSecrets(ctx context.Context, a app.ID, sealed map[string]string, evs ...event.Event) error
	DeleteSecrets(ctx context.Context, a app.ID, names []string, evs ...event.Event) error
	SecretsOf(ctx context.Context, a app.ID) (map[string]string, error)

	SetCredential(ctx context.Context, c Credential, sealed string, evs ...event.Event) error
	Credential(ctx context.Context, space app.SpaceID, host string, kind Kind) (Credential, string, error)
	Credentials(ctx context.Context, space app.SpaceID) ([]Credential, error)
	DeleteCredential(ctx context.Context, space app.SpaceID, host string, kind Kind, evs ...event.Event) error

	SetCertificate(ctx context.Context, c Certificate, sealed string, evs ...event.Event) (Certificate, error)
	Certificates(ctx context.Context, space app.SpaceID) ([]Certificate, error)
	ServedCertificates(ctx context.Context) (all []Certificate, sealed []string, err error)
	DeleteCertificate(ctx context.Context, space app.SpaceID, host string, evs ...event.Event) error

	// AddDrain fills in Created; begin says behind which line each app's log is
	// passed on. A name that the space has is a Conflict.
	AddDrain(ctx context.Context, d drain.Declared, sealed string, begin map[app.ID]logs.Cursor, evs ...event.Event) (drain.Declared, error)
	DrainTarget(ctx context.Context, d drain.ID) (string, error)

	// SealedNotWith returns up to limit values that another key sealed.
	SealedNotWith(ctx context.Context, keyID string, limit int) ([]Sealed, error)
	// Reseal replaces a value, unless it was changed since it was read.
	Reseal(ctx context.Context, old Sealed, value string) error
}

// Tester tries a credential against its host. A refusal is a fault that says
// what the host answered.
type Tester interface {
	Test(ctx context.Context, c Credential, password secret.Secret) error
}

// Vault seals what it is given and opens it for those who use it.
type Vault struct {
	store  Store
	ring   func() *secret.Keyring // as it is now: it rotates while naru runs
	tester Tester
}

// New makes a vault. ring returns the key ring in use.
func New(store Store, ring func() *secret.Keyring, tester Tester) *Vault {
	return &Vault{store: store, ring: ring, tester: tester}
}

// SetSecrets seals and stores the secret values of a change of an app's
// environment, and forgets those that it unsets or makes plain. In a transaction
// of the caller's it is part of that.
func (v *Vault) SetSecrets(ctx context.Context, a app.ID, change app.EnvChange) error {
	sealed := make(map[string]string, len(change.Secrets))
	for name, value := range change.Secrets {
		text, err := v.ring().Seal(value, Sealed{App: a, Name: name}.Owner())
		if err != nil {
			return fmt.Errorf("seal %s: %w", name, err)
		}
		sealed[name] = text
	}
	var plain []string
	for name := range change.Set {
		plain = append(plain, name)
	}
	for _, name := range change.Unset {
		if _, again := sealed[name]; !again {
			plain = append(plain, name)
		}
	}
	if len(plain) > 0 {
		if err := v.store.DeleteSecrets(ctx, a, plain); err != nil {
			return err
		}
	}
	if len(sealed) == 0 {
		return nil
	}
	return v.store.SetSecrets(ctx, a, sealed)
}

// Secrets opens the named secret values of an app. One that has no value is a
// Conflict that names it.
func (v *Vault) Secrets(ctx context.Context, a app.ID, names []string) (map[string]secret.Secret, error) {
	if len(names) == 0 {
		return nil, nil
	}
	sealed, err := v.store.SecretsOf(ctx, a)
	if err != nil {
		return nil, err
	}
	open := make(map[string]secret.Secret, len(names))
	for _, name := range names {
		text, ok := sealed[name]
		if !ok {
			return nil, fault.New(fault.Conflict, "env."+name, "the secret %s has no value any more", name).
				WithTry("naru set-env APP --secret %s=VALUE, or naru unset-env APP %s", name, name)
		}
		if open[name], err = v.open(text, Sealed{App: a, Name: name}); err != nil {
			return nil, err
		}
	}
	return open, nil
}

// open opens one value.
func (v *Vault) open(text string, s Sealed) (secret.Secret, error) {
	value, err := v.ring().Open(text, s.Owner())
	if errors.Is(err, secret.ErrUnknownKey) {
		return value, fault.New(fault.Unavailable, "", "a secret value was sealed with a key that naru does not have").
			WithTry("put the key file of the time back, or set the value again").WithCause(err)
	}
	if err != nil {
		return value, fmt.Errorf("open %s: %w", s.Owner(), err)
	}
	return value, nil
}

// SetCredential tries a credential against its host and keeps it sealed; what
// the host refuses is not kept. By, Created and Updated are filled in. Where
// Kind is "" it is found by trying.
func (v *Vault) SetCredential(ctx context.Context, by operation.Ask, c Credential, password secret.Secret) (Credential, error) {
	c.By = by.Actor
	c.Host = strings.ToLower(strings.TrimSpace(c.Host))
	if err := checkHost(c.Host); err != nil {
		return c, err
	}
	if password.IsZero() {
		return c, fault.New(fault.Invalid, "password", "a password or token is needed")
	}
	c, err := v.try(ctx, c, password)
	if err != nil {
		return c, err
	}
	sealed, err := v.ring().Seal(password, Sealed{Space: c.Space, Host: c.Host, Kind: c.Kind}.Owner())
	if err != nil {
		return c, fmt.Errorf("seal credential of %s: %w", c.Host, err)
	}
	err = v.store.SetCredential(ctx, c, sealed, event.Event{
		Kind: "credential.set", Actor: by.Actor, Subject: c.Host, Detail: map[string]any{"kind": string(c.Kind), "user": c.Username},
	})
	if err != nil {
		return c, err
	}
	c, _, err = v.store.Credential(ctx, c.Space, c.Host, c.Kind)
	return c, err
}

// try asks the host, for each kind where none was named.
func (v *Vault) try(ctx context.Context, c Credential, password secret.Secret) (Credential, error) {
	switch c.Kind {
	case Git, Registry:
		return c, v.tester.Test(ctx, c, password)
	case "":
	default:
		return c, fault.New(fault.Invalid, "kind", "%q is no kind of credential", c.Kind).WithTry("use git or registry")
	}
	var said []string
	for _, kind := range []Kind{Registry, Git} {
		c.Kind = kind
		err := v.tester.Test(ctx, c, password)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		said = append(said, string(kind)+": "+fault.Of(err).Message)
	}
	return c, fault.New(fault.Invalid, "host", "%s took the credentials neither as a registry nor as a git host (%s)", c.Host, strings.Join(said, "; ")).
		WithTry("check user and password; say what the host is with --kind git or --kind registry")
}

// checkHost refuses what is no "host" or "host:port".
func checkHost(host string) error {
	if host == "" || len(host) > 260 || strings.ContainsAny(host, "/@?# \t\r\n\x00") {
		return fault.New(fault.Invalid, "host", "%q is not a host", host).
			WithTry("give the name alone, with a port where it needs one: registry.example.com:5000")
	}
	return nil
}

// Credentials lists the credentials of a space, without their passwords.
func (v *Vault) Credentials(ctx context.Context, space app.SpaceID) ([]Credential, error) {
	return v.store.Credentials(ctx, space)
}

// Credential returns a credential of a space and its password, opened; where
// there is none, ok is false.
func (v *Vault) Credential(ctx context.Context, space app.SpaceID, host string, kind Kind) (c Credential, password secret.Secret, ok bool, err error) {
	host = strings.ToLower(host)
	c, sealed, err := v.store.Credential(ctx, space, host, kind)
	if fault.Is(err, fault.NotFound) {
		return c, password, false, nil
	}
	if err != nil {
		return c, password, false, err
	}
	password, err = v.open(sealed, Sealed{Space: space, Host: host, Kind: kind})
	return c, password, err == nil, err
}

// DeleteCredential forgets the credentials of a kind ("": all) for a host. Where
// there is none it is a NotFound.
func (v *Vault) DeleteCredential(ctx context.Context, by operation.Ask, space app.SpaceID, host string, kind Kind) error {
	have, err := v.store.Credentials(ctx, space)
	if err != nil {
		return err
	}
	host, gone := strings.ToLower(host), false
	for _, c := range have {
		if c.Host != host || kind != "" && c.Kind != kind {
			continue
		}
		err := v.store.DeleteCredential(ctx, space, host, c.Kind, event.Event{
			Kind: "credential.deleted", Actor: by.Actor, Subject: host, Detail: map[string]any{"kind": string(c.Kind)},
		})
		if err != nil {
			return err
		}
		gone = true
	}
	if !gone {
		what := strings.TrimSpace(string(kind) + " credentials")
		return fault.New(fault.NotFound, "host", "there are no %s for %q in this space", what, host).
			WithTry("naru credentials")
	}
	return nil
}

// resealBatch is how many values Reseal reads at once.
const resealBatch = 100

// Reseal seals everything anew that an older key sealed and returns how many
// values that were. Each is a transaction of its own: stopped in between, the
// next call goes on. When it returns without error the old keys are not needed
// any more. A value that no key opens is an error; the others are done first.
func (v *Vault) Reseal(ctx context.Context) (n int, err error) {
	ring := v.ring()
	var stuck []error
	skip := map[string]bool{}
	for {
		batch, err := v.store.SealedNotWith(ctx, ring.KeyID(), resealBatch+len(skip))
		if err != nil {
			return n, err
		}
		progress := false
		for _, s := range batch {
			if skip[s.Owner()] {
				continue
			}
			progress = true
			value, err := ring.Open(s.Value, s.Owner())
			if err != nil {
				skip[s.Owner()] = true
				stuck = append(stuck, fmt.Errorf("open %s: %w", s.Owner(), err))
				continue
			}
			sealed, err := ring.Seal(value, s.Owner())
			if err != nil {
				return n, fmt.Errorf("seal %s: %w", s.Owner(), err)
			}
			if err := v.store.Reseal(ctx, s, sealed); err != nil {
				return n, err
			}
			n++
		}
		if !progress {
			return n, errors.Join(stuck...)
		}
	}
}
