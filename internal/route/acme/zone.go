package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// DNS changes a zone.
type DNS interface {
	// In reports whether a name is in the zone.
	In(name string) bool
	Zone() string
	// Alias is where CNAME records lead from a name; the name itself where there are
	// none.
	Alias(ctx context.Context, name string) (string, error)
	Add(ctx context.Context, name, value string) error
	// Remove takes a TXT record away; one that is not there is no error.
	Remove(ctx context.Context, name, value string) error
	// Await returns when the record is shown to the world.
	Await(ctx context.Context, name, value string) error
}

const (
	challengeLabel = "_acme-challenge."
	undoing        = 30 * time.Second // of all changes, also when the process ends
)

// change is a TXT record that was added to a zone, or was about to be.
type change struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// zoneError is a failure of the zone, not of the authority.
type zoneError struct{ err error }

func (e *zoneError) Error() string { return e.err.Error() }
func (e *zoneError) Unwrap() error { return e.err }

// zoneSolver answers DNS-01 in a zone.
type zoneSolver struct{ k *Keeper }

// Present writes down what it adds before it does, so that nothing stays in the
// zone of which nobody knows.
func (s zoneSolver) Present(ctx context.Context, c acme.Challenge) error {
	if s.k.cfg.DNS == nil {
		return &zoneError{errors.New("a wildcard takes DNS-01, and acme.dns names no zone")}
	}
	name, err := s.k.place(ctx, c.DNS01TXTRecordName())
	if err == nil {
		added := change{name, c.DNS01KeyAuthorization()}
		if err = s.k.remember(append(s.k.left, added)); err == nil {
			err = s.k.cfg.DNS.Add(ctx, added.Name, added.Value)
		}
	}
	if err != nil {
		return &zoneError{err}
	}
	return nil
}

// Wait returns when the authority can see it.
func (s zoneSolver) Wait(ctx context.Context, c acme.Challenge) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, added := range s.k.left {
		if err := s.k.cfg.DNS.Await(ctx, added.Name, added.Value); err != nil {
			return &zoneError{err}
		}
	}
	return nil
}

// CleanUp takes the record out again.
func (s zoneSolver) CleanUp(ctx context.Context, _ acme.Challenge) error {
	s.k.undo(context.WithoutCancel(ctx))
	return nil
}

// place is where the record for a name is put: in the zone, or where the owner of
// the name let it lead.
func (k *Keeper) place(ctx context.Context, name string) (string, error) {
	if k.cfg.DNS.In(name) {
		return name, nil
	}
	alias, err := k.cfg.DNS.Alias(ctx, name)
	if err != nil {
		return "", err
	}
	// Nothing but such names: the record must not be an answer to other questions.
	if !k.cfg.DNS.In(alias) || !strings.HasPrefix(alias, challengeLabel) {
		return "", fmt.Errorf("%s is not in the zone %s; let it be a CNAME of %s%s.%s", name, k.cfg.DNS.Zone(),
			challengeLabel, strings.TrimPrefix(name, challengeLabel), k.cfg.DNS.Zone())
	}
	return alias, nil
}

// undo takes all records out that were added. What cannot be stays written down
// for the next time.
func (k *Keeper) undo(ctx context.Context) {
	if len(k.left) == 0 || k.cfg.DNS == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, undoing)
	defer cancel()
	var still []change
	for _, added := range k.left {
		if err := k.cfg.DNS.Remove(ctx, added.Name, added.Value); err != nil {
			k.log.WarnContext(ctx, "a record stays in the zone", "name", added.Name, "error", err)
			still = append(still, added)
		}
	}
	if err := k.remember(still); err != nil {
		k.log.ErrorContext(ctx, "what is to be removed from the zone", "error", err)
	}
}

// remember writes down what is to be undone.
func (k *Keeper) remember(left []change) error {
	left = slices.Clone(left)
	text, err := json.Marshal(left)
	if err == nil && len(left) == 0 {
		if err = os.Remove(k.changesPath()); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else if err == nil {
		err = write(k.changesPath(), text)
	}
	if err != nil {
		return fmt.Errorf("write down changes of the zone: %w", err)
	}
	k.left = left
	return nil
}

// changes are those that a process which ended did not undo.
func (k *Keeper) changes() (left []change) {
	text, err := os.ReadFile(k.changesPath())
	if err == nil {
		err = json.Unmarshal(text, &left)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.log.Error("what is to be removed from the zone cannot be read", "path", k.changesPath(), "error", err)
	}
	return left
}

func (k *Keeper) changesPath() string { return filepath.Join(k.cfg.Dir, "zone.json") }
