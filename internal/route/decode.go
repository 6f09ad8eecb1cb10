package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"naru/internal/fault"
)

// Decode reads a table that naru wrote. Keys it does not know are left alone,
// so that a gateway reads what a newer control plane sent.
func Decode(data []byte) (*Table, error) {
	var t Table
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("decode table: %w", err)
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	return &t, nil
}

// DecodeFile reads a table that a person wrote: unknown and repeated keys are
// refused, and every error names file, line and key.
func DecodeFile(name string, data []byte) (*Table, error) {
	var t Table
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, jsonFault(name, data, err)
	}
	keys, p := readKeys(data, &t)
	if p == nil {
		p = t.problem()
	}
	if p != nil {
		return nil, fault.New(fault.Invalid, at(name, data, keys.near(p.key)), "%s: %s", p.key, p.what).
			WithTry("see docs/gateway-table.md for what a table may hold")
	}
	return &t, nil
}

// jsonFault says where in the file JSON itself broke.
func jsonFault(name string, data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		if len(bytes.TrimSpace(data)) == 0 {
			return fault.New(fault.Invalid, name, "the table file is empty").WithTry("see docs/gateway-table.md for an example")
		}
		return fault.New(fault.Invalid, at(name, data, syntax.Offset-1), "not JSON: %s (byte %d of %d)", syntax, syntax.Offset, len(data)).
			WithTry("see docs/gateway-table.md for an example")
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		key := kind.Field
		if key == "" {
			key = "table"
		}
		return fault.New(fault.Invalid, at(name, data, kind.Offset-1), "%s: wants %s, got %s", key, plainType(kind.Type.Kind()), kind.Value).
			WithTry("see docs/gateway-table.md for what a table may hold")
	}
	return fault.New(fault.Invalid, name, "%s", err)
}

// at is FILE:LINE of a byte offset.
func at(name string, data []byte, offset int64) string {
	offset = max(0, min(offset, int64(len(data))))
	return fmt.Sprintf("%s:%d", name, 1+bytes.Count(data[:offset], []byte{'\n'}))
}
