package auth_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/secret"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// bench is a service on a real store, with a clock that the test moves.
type bench struct {
	*auth.Service
	store *store.Store
	clock *clock
	cfg   auth.Config
	key   *auth.Key
}

type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// cheap keeps tests fast; what a real hash costs is measured by its benchmark.
var cheap = auth.HashCost{MemoryKiB: 64, Passes: 1, Threads: 1}

func newBench(t testing.TB) *bench {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	key, err := auth.LoadKey(filepath.Join(t.TempDir(), "keys", "token.pem"))
	must(t, err)
	b := &bench{
		store: storetest.Open(t, store.Options{Clock: c.Now}), clock: c, key: key,
		cfg: auth.Config{Hash: cheap, Clock: c.Now},
	}
	b.Service = auth.New(b.store, key, b.cfg)
	return b
}

// user makes a user "ada" and returns who she is.
func (b *bench) user(t testing.TB, roles ...auth.Grant) auth.User {
	t.Helper()
	u, err := b.CreateUser(t.Context(), "admin", "ada", secret.New("correct horse"), roles...)
	must(t, err)
	return u
}

func (b *bench) login(t testing.TB) auth.Tokens {
	t.Helper()
	tokens, err := b.Login(t.Context(), "ada", secret.New("correct horse"))
	must(t, err)
	return tokens
}

func (b *bench) verify(t testing.TB, tokens auth.Tokens) auth.Identity {
	t.Helper()
	who, err := b.Verify(t.Context(), tokens.Access.Reveal())
	must(t, err)
	return who
}

func TestAdminIsMadeOnce(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(t.TempDir(), "secrets", "admin")
	password, fresh, err := b.EnsureAdmin(t.Context(), file)
	must(t, err)
	if !fresh || len(password.Reveal()) < 20 {
		t.Errorf("fresh = %v, password of %d characters", fresh, len(password.Reveal()))
	}
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("mode of %s = %v, want %v", path, info.Mode().Perm(), want)
		}
	}
	tokens, err := b.Login(t.Context(), "admin", password)
	must(t, err)
	if who := b.verify(t, tokens); !who.Admin {
		t.Errorf("admin is %+v", who)
	}
	again, fresh, err := b.EnsureAdmin(t.Context(), file)
	must(t, err)
	if fresh || again.Reveal() != password.Reveal() {
		t.Errorf("second start: fresh %v, the same password: %v", fresh, again.Reveal() == password.Reveal())
	}
}

func TestAdminAfterAKillBetweenFileAndUser(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(t.TempDir(), "admin")
	must(t, os.WriteFile(file, []byte("written-before-the-kill\n"), 0o600))
	password, fresh, err := b.EnsureAdmin(t.Context(), file)
	must(t, err)
	if !fresh || password.Reveal() != "written-before-the-kill" {
		t.Errorf("fresh %v, password taken from the file: %v", fresh, password.Reveal() == "written-before-the-kill")
	}
	_, err = b.Login(t.Context(), "admin", password)
	must(t, err)
}

func TestWrongNameAndWrongPasswordLookTheSame(t *testing.T) {
	b := newBench(t)
	b.user(t)
	var said []string
	for _, try := range [][2]string{{"ada", "wrong password"}, {"nobody", "correct horse"}, {"ada", ""}} {
		_, err := b.Login(t.Context(), try[0], secret.New(try[1]))
		said = append(said, mustBe(t, err, fault.Unauthenticated).Error())
	}
	if said[0] != said[1] || said[0] != said[2] {
		t.Errorf("said %q", said)
	}
}

func TestDisabledUserIsOutAtOnce(t *testing.T) {
	b := newBench(t)
	u := b.user(t)
	tokens := b.login(t)
	_, err := b.store.UpdateUser(t.Context(), u.ID, func(u *auth.User) error { u.Disabled = true; return nil })
	must(t, err)
	_, err = b.Verify(t.Context(), tokens.Access.Reveal())
	mustBe(t, err, fault.Unauthenticated)
	_, err = b.Login(t.Context(), "ada", secret.New("correct horse"))
	mustBe(t, err, fault.Unauthenticated)
	_, err = b.Refresh(t.Context(), tokens.Refresh)
	mustBe(t, err, fault.Unauthenticated)
}

func TestPasswordChangeEndsSessionsAndKeepsAPITokens(t *testing.T) {
	b := newBench(t)
	b.user(t)
	one, two := b.login(t), b.login(t)
	who := b.verify(t, one)
	token, _, err := b.NewAPIToken(t.Context(), who, "ci", 0)
	must(t, err)
	mustBe(t, b.ChangePassword(t.Context(), who, secret.New("wrong"), secret.New("battery staple")), fault.Denied)
	mustBe(t, b.ChangePassword(t.Context(), who, secret.New("correct horse"), secret.New("short")), fault.Invalid)
	must(t, b.ChangePassword(t.Context(), who, secret.New("correct horse"), secret.New("battery staple")))
	for _, tokens := range []auth.Tokens{one, two} {
		_, err := b.Verify(t.Context(), tokens.Access.Reveal())
		mustBe(t, err, fault.Unauthenticated)
		_, err = b.Refresh(t.Context(), tokens.Refresh)
		mustBe(t, err, fault.Unauthenticated)
	}
	_, err = b.Verify(t.Context(), token.Reveal())
	must(t, err)
	_, err = b.Login(t.Context(), "ada", secret.New("battery staple"))
	must(t, err)
}

func TestHashFollowsTheConfiguredCost(t *testing.T) {
	b := newBench(t)
	u := b.user(t)
	before, err := b.store.User(t.Context(), u.ID)
	must(t, err)
	b.cfg.Hash.MemoryKiB *= 2
	dearer := auth.New(b.store, b.key, b.cfg)
	for range 2 {
		_, err = dearer.Login(t.Context(), "ada", secret.New("correct horse"))
		must(t, err)
	}
	after, err := b.store.User(t.Context(), u.ID)
	must(t, err)
	if before.Password == after.Password || after.Password[:30] != "$argon2id$v=19$m=128,t=1,p=1$"+after.Password[29:30] {
		t.Errorf("hash went from %.30q to %.30q", before.Password, after.Password)
	}
}

func TestTooManyLoginsAtOnceAreRefused(t *testing.T) {
	b := newBench(t)
	b.user(t)
	b.cfg.Hashes, b.cfg.Waiting = 1, 1
	narrow := auth.New(b.store, b.key, b.cfg)
	const people = 50
	errs := make(chan error, people)
	for range people {
		go func() {
			_, err := narrow.Login(context.WithoutCancel(t.Context()), "ada", secret.New("correct horse"))
			errs <- err
		}()
	}
	in := 0
	for range people {
		switch err := <-errs; {
		case err == nil:
			in++
		case !fault.Is(err, fault.Unavailable):
			t.Errorf("err = %v, want Unavailable", err)
		}
	}
	if in == 0 {
		t.Error("nobody got in")
	}
}

func BenchmarkLogin(b *testing.B) {
	s := newBench(b)
	s.user(b)
	s.cfg.Hash = auth.HashCost{} // the default
	real := auth.New(s.store, s.key, s.cfg)
	b.ReportAllocs()
	for b.Loop() {
		_, err := real.Login(b.Context(), "ada", secret.New("correct horse"))
		must(b, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	s := newBench(b)
	s.user(b, auth.Grant{Role: auth.SpaceDeveloper, Org: "o", Space: "s"})
	token := s.login(b).Access.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		_, err := s.Verify(b.Context(), token)
		must(b, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t testing.TB, err error, kind fault.Kind) *fault.Error {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("err = %v, want one of kind %s", err, kind)
	}
	return fault.Of(err)
}
