//go:build !linux

package disk

import "errors"

// Of is Linux only.
func Of(string) (Room, error) { return Room{}, errors.ErrUnsupported }
