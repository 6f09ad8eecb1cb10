package serve_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"naru/internal/serve"
)

func TestPartsStopInReverse(t *testing.T) {
	var mu sync.Mutex
	var stopped []string
	part := func(name string) serve.Part {
		return serve.Part{Name: name, Run: func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			stopped = append(stopped, name)
			return nil
		}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := serve.Ordered(ctx, part("store"), part("route"), part("api")); err != nil {
		t.Errorf("Ordered() = %v", err)
	}
	if want := []string{"api", "route", "store"}; !slices.Equal(stopped, want) {
		t.Errorf("stopped %v, want %v", stopped, want)
	}
}

func TestOnePartThatFailsStopsTheRest(t *testing.T) {
	broken := errors.New("port taken")
	err := serve.Ordered(t.Context(),
		serve.Part{Name: "store", Run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		serve.Part{Name: "api", Run: func(context.Context) error { return broken }},
	)
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "api: ") {
		t.Errorf("Ordered() = %v, want the api's error alone", err)
	}
}

func TestAPartThatReturnsIsAnError(t *testing.T) {
	err := serve.Ordered(t.Context(), serve.Part{Name: "api", Run: func(context.Context) error { return nil }})
	if err == nil || !strings.Contains(err.Error(), "api: stopped by itself") {
		t.Errorf("Ordered() = %v", err)
	}
}
