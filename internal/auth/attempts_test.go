package auth_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/secret"
)

func TestGuessingHasToWait(t *testing.T) {
	b := newBench(t)
	b.user(t)
	here := auth.From(t.Context(), "192.0.2.1")
	for n := range 5 {
		_, err := b.Login(here, "ada", secret.New(fmt.Sprint("guess ", n)))
		mustBe(t, err, fault.Unauthenticated)
	}
	_, err := b.Login(here, "ada", secret.New("correct horse"))
	if f := mustBe(t, err, fault.Denied); !errors.Is(err, auth.ErrLocked) || f.Try == "" {
		t.Errorf("err = %v, try %q, want the lock and how long", err, f.Try)
	}
	if _, err := b.Login(auth.From(t.Context(), "192.0.2.2"), "ada", secret.New("correct horse")); err != nil {
		t.Errorf("from another address: %v", err)
	}
	b.clock.pass(time.Second)
	_, err = b.Login(here, "ada", secret.New("wrong again"))
	mustBe(t, err, fault.Unauthenticated)
	b.clock.pass(time.Second) // the second wait is twice as long
	_, err = b.Login(here, "ada", secret.New("correct horse"))
	mustBe(t, err, fault.Denied)
	b.clock.pass(time.Second)
	if _, err := b.Login(here, "ada", secret.New("correct horse")); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	_, err = b.Login(here, "ada", secret.New("a slip"))
	mustBe(t, err, fault.Unauthenticated)
	if _, err := b.Login(here, "ada", secret.New("correct horse")); err != nil {
		t.Errorf("a success should have forgotten the failures: %v", err)
	}
}

func TestOneAddressCannotTryEveryName(t *testing.T) {
	b := newBench(t)
	here := auth.From(t.Context(), "192.0.2.1")
	for n := range 50 {
		_, err := b.Login(here, fmt.Sprint("user", n), secret.New("password"))
		mustBe(t, err, fault.Unauthenticated)
	}
	_, err := b.Login(here, "somebody new", secret.New("password"))
	mustBe(t, err, fault.Denied)
}

func TestFailuresAreForgottenWhenThereAreTooMany(t *testing.T) {
	b := newBench(t)
	b.cfg.Lockout.Remember = 3
	few := auth.New(b.store, b.key, b.cfg)
	for n := range 20 {
		b.clock.pass(time.Millisecond)
		_, err := few.Login(auth.From(t.Context(), fmt.Sprint("192.0.2.", n)), "ada", secret.New("password"))
		mustBe(t, err, fault.Unauthenticated)
	}
	if got := auth.Remembered(few); got != 3 {
		t.Errorf("%d failures are remembered, want 3", got)
	}
}
