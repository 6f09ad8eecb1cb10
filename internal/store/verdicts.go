package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge"
	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/rollout"
)

type verdictRow struct {
	bun.BaseModel `bun:"table:verdicts"`

	Rollout rollout.ID         `bun:"rollout_id,pk"`
	Step    int                `bun:"step,pk"`
	Outcome judge.Outcome      `bun:"outcome"`
	Act     judging.Act        `bun:"act"`
	Began   stamp              `bun:"began"`
	Given   stamp              `bun:"given"`
	Blocks  int                `bun:"blocks"`
	Verdict doc[judge.Verdict] `bun:"verdict"`
}

func (r verdictRow) given() judging.Given {
	return judging.Given{Rollout: r.Rollout, Step: r.Step, Verdict: r.Verdict.V, Act: r.Act, Began: r.Began.Time, At: r.Given.Time, Blocks: r.Blocks}
}

type verdictBlockRow struct {
	bun.BaseModel `bun:"table:verdict_blocks"`

	Rollout rollout.ID       `bun:"rollout_id,pk"`
	Step    int              `bun:"step,pk"`
	Number  int              `bun:"number,pk"`
	Block   doc[judge.Block] `bun:"block"`
}

// Verdict returns what is said of a step of a rollout.
func (s *Store) Verdict(ctx context.Context, id rollout.ID, step int) (judging.Given, error) {
	row, err := verdictOf(ctx, s.read(ctx), id, step)
	return row.given(), err
}

func verdictOf(ctx context.Context, db bun.IDB, id rollout.ID, step int) (row verdictRow, err error) {
	err = db.NewSelect().Model(&row).Where("rollout_id = ? AND step = ?", id, step).Scan(ctx)
	return row, found(err, fault.New(fault.NotFound, "verdict", "step %d of rollout %s was not judged", step+1, id), "find verdict")
}

// Verdicts returns what is said of the steps of rollouts, in their order.
func (s *Store) Verdicts(ctx context.Context, rollouts ...rollout.ID) ([]judging.Given, error) {
	if len(rollouts) == 0 {
		return nil, nil
	}
	var rows []verdictRow
	if err := s.read(ctx).NewSelect().Model(&rows).Where("rollout_id IN (?)", in(rollouts)).Order("rollout_id", "step").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list verdicts: %w", err)
	}
	return each(rows, verdictRow.given), nil
}

// GiveVerdict keeps what is said of a step in place of what was said before, and
// the block it is about, with its number, where there is one. A verdict that is
// final stays; the rollout's blocks of the step are gone with it.
func (s *Store) GiveVerdict(ctx context.Context, g judging.Given, block *judge.Block) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		ro, err := rolloutByID(ctx, t.Tx, g.Rollout)
		if err != nil {
			return err
		}
		had, err := verdictOf(ctx, t.Tx, g.Rollout, g.Step)
		if err != nil && !fault.Is(err, fault.NotFound) || had.Act != "" {
			return err
		}
		row := &verdictRow{
			Rollout: g.Rollout, Step: g.Step, Outcome: g.Verdict.Outcome, Act: g.Act, Began: stamp{g.Began}, Given: stamp{g.At},
			Blocks: g.Blocks, Verdict: doc[judge.Verdict]{g.Verdict},
		}
		if fault.Is(err, fault.NotFound) {
			_, err = t.NewInsert().Model(row).Exec(ctx)
		} else {
			_, err = t.NewUpdate().Model(row).WherePK().Exec(ctx)
		}
		if err != nil {
			return fmt.Errorf("keep verdict: %w", err)
		}
		if g.Act == "" {
			if block == nil {
				return nil
			}
			if _, err := t.NewInsert().Model(&verdictBlockRow{Rollout: g.Rollout, Step: g.Step, Number: g.Blocks, Block: doc[judge.Block]{*block}}).Exec(ctx); err != nil {
				return fmt.Errorf("keep block: %w", err)
			}
			return nil
		}
		if _, err := t.NewDelete().Model((*verdictBlockRow)(nil)).Where("rollout_id = ? AND step = ?", g.Rollout, g.Step).Exec(ctx); err != nil {
			return fmt.Errorf("drop blocks: %w", err)
		}
		owner, err := s.App(ctx, ro.App)
		if err != nil {
			return err
		}
		t.about(owner.Space, owner.ID)
		return t.append(ctx, []event.Event{{
			Kind: "verdict.given", Actor: event.System, Subject: owner.Name, Detail: map[string]any{
				"rollout": string(g.Rollout), "step": g.Step, "outcome": string(g.Verdict.Outcome), "act": string(g.Act), "text": clean(g.Verdict.Why()),
			},
		}})
	})
}

// VerdictBlocks returns the blocks of a step in their order.
func (s *Store) VerdictBlocks(ctx context.Context, id rollout.ID, step int) ([]judge.Block, error) {
	var rows []verdictBlockRow
	if err := s.read(ctx).NewSelect().Model(&rows).Where("rollout_id = ? AND step = ?", id, step).Order("number").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list blocks: %w", err)
	}
	return each(rows, func(r verdictBlockRow) judge.Block { return r.Block.V }), nil
}

// DropBlocks removes the blocks of steps that are not judged any more.
func (s *Store) DropBlocks(ctx context.Context) error {
	return s.write(ctx, nil, func(ctx context.Context, t *tx) error {
		_, err := t.NewRaw(`DELETE FROM verdict_blocks WHERE NOT EXISTS
			(SELECT 1 FROM rollouts r WHERE r.id = verdict_blocks.rollout_id AND r.active AND r.step = verdict_blocks.step)`).Exec(ctx)
		if err != nil {
			return fmt.Errorf("drop blocks: %w", err)
		}
		return nil
	})
}
