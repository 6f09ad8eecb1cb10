package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// stamp is a time in a column: nanoseconds since 1970, 0 for the zero time.
type stamp struct{ time.Time }

// Value implements driver.Valuer.
func (s stamp) Value() (driver.Value, error) {
	if s.IsZero() {
		return int64(0), nil
	}
	return s.UnixNano(), nil
}

// Scan implements sql.Scanner.
func (s *stamp) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T", src)
	}
	s.Time = time.Time{}
	if n != 0 {
		s.Time = time.Unix(0, n).UTC()
	}
	return nil
}

// doc is a value kept as JSON text.
type doc[T any] struct{ V T }

// Value implements driver.Valuer.
func (d doc[T]) Value() (driver.Value, error) {
	text, err := json.Marshal(d.V)
	if err != nil {
		return nil, fmt.Errorf("encode a column: %w", err)
	}
	return string(text), nil
}

// Scan implements sql.Scanner.
func (d *doc[T]) Scan(src any) error {
	text, err := text(src)
	if err != nil {
		return err
	}
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Errorf("decode a column: %w", err)
	}
	d.V = v
	return nil
}

// raw is JSON that the store does not look into; nil is kept as "".
type raw json.RawMessage

// Value implements driver.Valuer.
func (r raw) Value() (driver.Value, error) { return string(r), nil }

// Scan implements sql.Scanner.
func (r *raw) Scan(src any) error {
	text, err := text(src)
	*r = nil
	if text != "" {
		*r = raw(text)
	}
	return err
}

func text(src any) (string, error) {
	switch v := src.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	}
	return "", fmt.Errorf("text is stored as %T", src)
}

// clean makes text storable: PostgreSQL keeps neither NUL nor broken UTF-8, and
// programs print both.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// in makes a list for "IN (?)". An empty one matches nothing: SQL has no empty
// list, so it holds a value that no column has.
func in[T ~string](values []T) any {
	if len(values) == 0 {
		return bun.List([]string{"\x01none"})
	}
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	return bun.List(list)
}

// each turns rows into what they stand for.
func each[R, T any](rows []R, of func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = of(r)
	}
	return out
}
