package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"naru/internal/client"
	"naru/internal/fault"
)

// maxRules bounds a file of rules, in bytes.
const maxRules = 1 << 20

// routeFacts are fields of a route beside its rules, which a file may have
// because naru route --json shows them.
var routeFacts = []string{"id", "host", "path", "name", "url", "default", "when", "destinations", "created_at"}

// fromFile is the change that makes a route's rules those of a file.
func (c *cmd) fromFile(file string, have client.Terms) (out client.TermsChange, err error) {
	want, err := c.readRules(file)
	if err != nil {
		return out, err
	}
	data, err := json.Marshal(have)
	if err != nil {
		return out, fmt.Errorf("encode rules: %w", err)
	}
	now, err := object(data)
	if err != nil {
		return out, fmt.Errorf("decode rules: %w", err)
	}
	if data, err = json.Marshal(difference(now, want)); err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return out, fmt.Errorf("encode rules: %w", err)
	}
	return out, nil
}

func (c *cmd) readRules(file string) (map[string]any, error) {
	from, name := c.world.In, "standard input"
	if file != "-" {
		f, err := os.Open(c.absolute(file))
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, "--file", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		from, name = f, file
	}
	data, err := io.ReadAll(io.LimitReader(from, maxRules+1))
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, "--file", err)
	case len(data) > maxRules:
		return nil, fault.New(fault.TooLarge, "--file", "%s has more than %d KiB", name, maxRules>>10)
	}
	doc, err := object(data)
	if err != nil {
		return nil, notRules(name, data, err)
	}
	for key := range doc {
		switch {
		case slices.Contains(routeFacts, key):
			delete(doc, key)
		case !slices.Contains([]string{"policy", "timeouts", "limits"}, key):
			return nil, fault.New(fault.Invalid, "--file", "%s: %q is not known; there are policy, timeouts and limits", name, key).
				WithTry("see the form: naru route HOST --json")
		}
	}
	return doc, nil
}

// notRules says where a file is no JSON object.
func notRules(name string, data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(data[:min(int64(len(data)), syntax.Offset)], []byte{'\n'})
		name = fmt.Sprintf("%s:%d", name, line)
	}
	return fault.New(fault.Invalid, "--file", "%s: no JSON object: %s", name, err).WithTry("see the form: naru route HOST --json")
}

// object reads a JSON object, and nothing behind it.
func object(data []byte) (doc map[string]any, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows behind its end")
	}
	if doc == nil {
		doc = map[string]any{}
	}
	return doc, nil
}

// difference is the merge patch (RFC 7396) that leads from one object to another.
func difference(from, to map[string]any) map[string]any {
	patch := map[string]any{}
	for key := range from {
		if _, stays := to[key]; !stays {
			patch[key] = nil
		}
	}
	for key, want := range to {
		have, is := from[key]
		if is && reflect.DeepEqual(have, want) {
			continue
		}
		before, ok := have.(map[string]any)
		after, also := want.(map[string]any)
		if ok && also {
			patch[key] = difference(before, after)
			continue
		}
		patch[key] = want
	}
	return patch
}
