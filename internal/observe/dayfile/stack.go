package dayfile

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"strings"
)

// Blocks grow by being merged: fanIn of a rank become one of the next, and what
// has Kind.Seal bytes is left as it is. So what comes of a quiet owner one by one
// is written three times at most.
const (
	fanIn = 16
	ranks = 4

	// Sealed is the rank of a block that is not merged any more.
	Sealed = 9
)

// stack is what an owner has that is not sealed yet.
type stack struct {
	blocks [ranks]int
	bytes  int64
}

// Packer makes blocks of the items of one owner.
type Packer[T any] interface {
	// Owner is whose they are: the values of Kind.Owner.
	Owner() []any
	// Size is how many bytes an item takes, unpacked.
	Size(item T) int
	// Insert writes items as one block of a rank. What was not merged will be, or
	// comes in large amounts.
	Insert(ctx context.Context, tx *sql.Tx, items []T, rank int, merged bool) error
	// Open returns the items of the block at a place in the owner's order.
	Open(at int64, data []byte) ([]T, error)
}

// Add writes an owner's items as blocks and merges what has become many, within
// Row.Append.
func Add[T any](ctx context.Context, f *File, tx *sql.Tx, p Packer[T], items []T) error {
	s, err := f.stack(ctx, tx, p.Owner())
	if err != nil {
		return err
	}
	seal := func() error {
		*s = stack{}
		return merge(ctx, f, tx, p, ranks-1, Sealed)
	}
	for part, bytes := range parts(p, items, f.kind.Cut) {
		rank := 0
		if bytes >= f.kind.Seal {
			rank = Sealed
			if s.bytes > 0 { // what is in the stack comes before it
				if err := seal(); err != nil {
					return err
				}
			}
		} else {
			s.blocks[0]++
			s.bytes += int64(bytes)
		}
		if err := p.Insert(ctx, tx, part, rank, false); err != nil {
			return err
		}
	}
	if s.bytes >= int64(f.kind.Seal) {
		return seal()
	}
	for rank := range ranks - 1 {
		if s.blocks[rank] < fanIn {
			break
		}
		s.blocks[rank] = 0
		s.blocks[rank+1]++
		if err := merge(ctx, f, tx, p, rank, rank+1); err != nil {
			return err
		}
	}
	return nil
}

// parts cuts items into blocks of about the same size, and says how many bytes are
// in each: what is left over would be merged with what comes next.
func parts[T any](p Packer[T], items []T, cut int) iter.Seq2[[]T, int] {
	return func(yield func([]T, int) bool) {
		all := 0
		for _, item := range items {
			all += p.Size(item)
		}
		enough := all / (all/cut + 1)
		from, bytes := 0, 0
		for i, item := range items {
			n := p.Size(item)
			if (bytes >= enough || bytes+n > cut) && i > from {
				if !yield(items[from:i], bytes) {
					return
				}
				from, bytes = i, 0
			}
			bytes += n
		}
		if from < len(items) {
			yield(items[from:], bytes)
		}
	}
}

// mine is a condition on the blocks of an owner.
func (k *Kind) mine() string { return strings.Join(k.Owner, " = ? AND ") + " = ?" }

// stack of an owner. Row.mu is held.
func (f *File) stack(ctx context.Context, tx *sql.Tx, of []any) (*stack, error) {
	name := ""
	for _, v := range of {
		name += v.(string) + "\x00"
	}
	if s, ok := f.stacks[name]; ok {
		return s, nil
	}
	s := &stack{}
	rows, err := tx.QueryContext(ctx, `SELECT rank, count(*), sum(bytes) FROM blocks WHERE `+f.kind.mine()+` AND rank < ? GROUP BY rank`, append(of, ranks)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var rank, count int
		var bytes int64
		if err := rows.Scan(&rank, &count, &bytes); err != nil {
			return nil, err
		}
		s.blocks[rank] = count
		s.bytes += bytes
	}
	f.stacks[name] = s
	return s, rows.Err()
}

// merge makes blocks of a higher rank out of all of an owner up to a rank: they
// are its newest. One that cannot be read stays where it is.
func merge[T any](ctx context.Context, f *File, tx *sql.Tx, p Packer[T], from, to int) error {
	mine, order := f.kind.mine(), f.kind.Order
	young := append(p.Owner(), from)
	rows, err := tx.QueryContext(ctx, `SELECT id, `+order+`, data FROM blocks WHERE `+mine+` AND rank <= ? ORDER BY `+order, young...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var damaged []int64
	runs := [][]T{nil} // what lies between damaged blocks
	for rows.Next() {
		var id, at int64
		var data []byte
		if err := rows.Scan(&id, &at, &data); err != nil {
			return err
		}
		items, err := p.Open(at, data)
		if err != nil {
			damaged, runs = append(damaged, id), append(runs, nil)
			continue
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], items...)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, id := range damaged {
		if _, err := tx.ExecContext(ctx, `UPDATE blocks SET rank = ? WHERE id = ?`, Sealed, id); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM blocks WHERE `+mine+` AND rank <= ?`, young...); err != nil {
		return err
	}
	for _, run := range runs {
		for part := range parts(p, run, f.kind.Cut) {
			if err := p.Insert(ctx, tx, part, to, true); err != nil {
				return err
			}
		}
	}
	return nil
}
