//go:build !unix

package fetch

import (
	"errors"
	"os"
)

// tryLock fails: nothing is baked where files cannot be locked so.
func tryLock(*os.File) error { return errors.ErrUnsupported }
