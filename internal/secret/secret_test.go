package secret_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"naru/internal/secret"
)

func TestSecretNeverPrints(t *testing.T) {
	s := secret.New("hunter2")
	wrapped := struct{ s secret.Secret }{s}
	text, _ := json.Marshal(map[string]any{"password": s})
	for _, got := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%+v", wrapped), string(text),
	} {
		if strings.Contains(got, "hunter2") {
			t.Errorf("the secret shows in %q", got)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("Reveal() lost the value")
	}
}

func TestKeyringSealsForOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master")
	ring, err := secret.LoadKeyring(path)
	must(t, err)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file mode = %v, %v, want 0600", info.Mode(), err)
	}
	sealed, err := ring.Seal(secret.New("hunter2"), "app/1/PASSWORD")
	must(t, err)
	if strings.Contains(sealed, "hunter2") {
		t.Fatal("not sealed")
	}
	again, err := secret.LoadKeyring(path)
	must(t, err)
	got, err := again.Open(sealed, "app/1/PASSWORD")
	must(t, err)
	if got.Reveal() != "hunter2" {
		t.Errorf("Open() = %q", got.Reveal())
	}
	if _, err := again.Open(sealed, "app/2/PASSWORD"); err == nil {
		t.Error("a value moved to another row opens")
	}
}

func TestRotatedRingOpensOldAndSealsNew(t *testing.T) {
	ring, err := secret.LoadKeyring(filepath.Join(t.TempDir(), "master"))
	must(t, err)
	old, err := ring.Seal(secret.New("a"), "x")
	must(t, err)
	rotated, err := ring.Rotated()
	must(t, err)
	if _, err := rotated.Open(old, "x"); err != nil {
		t.Errorf("old value does not open after rotation: %v", err)
	}
	if rotated.SealedWithNewest(old) {
		t.Error("old value counts as sealed with the newest key")
	}
	if _, err := rotated.Newest().Open(old, "x"); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("err = %v, want ErrUnknownKey", err)
	}
}

func TestDamagedKeyFileNamesTheWayOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master")
	must(t, os.WriteFile(path, []byte("not a key\n"), 0o600))
	if _, err := secret.LoadKeyring(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("err = %v, want one that names %s", err, path)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
