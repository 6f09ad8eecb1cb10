package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"naru/internal/fault"
)

func TestErrorKeepsItsKindThroughWrapping(t *testing.T) {
	root := errors.New("no such row")
	err := fmt.Errorf("find app: %w", fault.New(fault.NotFound, "app", "app %q does not exist", "shop").
		WithTry("naru apps").WithCause(root))

	if !fault.Is(err, fault.NotFound) {
		t.Errorf("Is(NotFound) = false for %v", err)
	}
	got := fault.Of(err)
	if got.Try != "naru apps" || got.Field != "app" {
		t.Errorf("Of() = %+v, want try and field kept", got)
	}
	if !errors.Is(err, root) {
		t.Error("the cause is lost")
	}
	if want := `app: app "shop" does not exist: no such row`; got.Error() != want {
		t.Errorf("Error() = %q, want %q", got.Error(), want)
	}
}

func TestUnknownErrorsAreInternal(t *testing.T) {
	got := fault.Of(errors.New("disk on fire"))
	if got.Kind != fault.Internal || got.Message != "internal error" {
		t.Errorf("Of() = %+v, want an internal error that tells the user nothing", got)
	}
	if fault.Of(nil) != nil {
		t.Error("Of(nil) is not nil")
	}
}
