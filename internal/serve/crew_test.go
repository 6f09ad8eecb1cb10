package serve_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"naru/internal/serve"
)

func TestACrewIsHaltedBeforeTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		working, finish := true, make(chan struct{})
		crew := serve.NewCrew(serve.Part{Name: "keeper", Run: func(ctx context.Context) error {
			<-ctx.Done()
			<-finish
			working = false
			return nil
		}})
		done := make(chan error, 1)
		go func() { done <- serve.Ordered(ctx, serve.Part{Name: "work", Run: crew.Run}) }()
		synctest.Wait()

		hasty, enough := context.WithCancel(ctx)
		enough()
		if err := crew.Halt(hasty); !errors.Is(err, context.Canceled) {
			t.Errorf("halting without patience: %v", err)
		}
		close(finish)
		if err := crew.Halt(ctx); err != nil || working {
			t.Errorf("halted: %v, still working %t", err, working)
		}
		if err := crew.Halt(ctx); err != nil {
			t.Errorf("halted again: %v", err)
		}
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("the process ended with its crew: %v", err)
		default:
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended: %v", err)
		}
	})
}

func TestACrewThatFailsIsTold(t *testing.T) {
	crew := serve.NewCrew(serve.Part{Name: "keeper", Run: func(context.Context) error { return errors.New("no disk") }})
	if err := crew.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "keeper: no disk") {
		t.Errorf("Run() = %v", err)
	}
}
