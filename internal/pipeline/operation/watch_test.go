package operation_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"naru/internal/pipeline/operation"
)

// Watchers who read a few lines at a time, and come back each time with the
// number of the last one, get every line once and in order, whenever they come
// and also through a restart.
func TestWatchersGetEveryLineInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const each = 50
		op := w.ask(t, "shop")
		handler := counting(map[string]int{}, func(ctx context.Context, k *operation.Work, step string) error {
			for n := range each {
				k.Output(ctx, step, fmt.Sprint(n))
				time.Sleep(37 * time.Millisecond) // of the bubble, so that batches end anywhere
			}
			return ctx.Err()
		})
		first := w.start(t, 1, handler)
		var watching sync.WaitGroup
		got := make([][]operation.Progress, 3)
		for i := range got {
			watching.Go(func() {
				time.Sleep(time.Duration(i) * 700 * time.Millisecond)
				for after := int64(0); ; {
					if err := w.AwaitProgress(context.Background(), op.ID, after); err != nil {
						t.Error(err)
						return
					}
					page, err := w.Progress(context.Background(), op.ID, after, 1+i*3)
					if err != nil {
						t.Error(err)
						return
					}
					if len(page) == 0 {
						return // the operation has ended
					}
					got[i] = append(got[i], page...)
					after = page[len(page)-1].Seq
				}
			})
		}
		time.Sleep(each * 37 * time.Millisecond * 3 / 2) // in the middle of the second step
		first.down()
		w.start(t, 1, handler)
		watching.Wait()
		synctest.Wait()
		w.ended(t, op.ID, operation.Done)
		want := w.lines(t, op.ID)
		for i, lines := range got {
			if len(lines) != len(want) {
				t.Errorf("watcher %d got %d lines of %d", i, len(lines), len(want))
			}
			for n, l := range lines {
				if l.Seq != int64(n+1) {
					t.Fatalf("watcher %d: line %d has the number %d", i, n+1, l.Seq)
				}
			}
		}
		if len(want) < 3*each {
			t.Errorf("only %d lines", len(want))
		}
	})
}
