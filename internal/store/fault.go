package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"naru/internal/app"
	"naru/internal/fault"
)

// found turns "no rows" into a NotFound in people's words and wraps the rest
// with what was done.
func found(err error, missing *fault.Error, act string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return missing
	}
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	return nil
}

// changed is found for a statement that changes rows: none is a NotFound.
func changed(res sql.Result, err error, missing *fault.Error, act string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	if n == 0 {
		return missing
	}
	return nil
}

// place names a space as people write it: "default/dev".
func place(ctx context.Context, db bun.IDB, space app.SpaceID) (string, error) {
	var row struct{ Org, Space string }
	err := db.NewRaw(`SELECT o.name AS org, s.name AS space FROM spaces s JOIN orgs o ON o.id = s.org_id WHERE s.id = ?`, space).
		Scan(ctx, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return "", noSpace(string(space))
	}
	if err != nil {
		return "", fmt.Errorf("name space %s: %w", space, err)
	}
	return row.Org + "/" + row.Space, nil
}

func noSpace(name string) *fault.Error {
	return fault.New(fault.NotFound, "space", "space %q does not exist", name).WithTry("naru spaces")
}

// moves is a named state that knows which state may follow it.
type moves[S ~string] interface {
	~string
	CanBecome(to S) bool
}

// checkMove refuses an illegal move; staying where one is, is none.
func checkMove[S moves[S]](what string, from, to S) error {
	if from == to || from.CanBecome(to) {
		return nil
	}
	return fault.New(fault.Conflict, "state", "%s is %s and cannot become %s", what, from, to)
}
