package source

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"runtime"

	"naru/internal/fault"
)

// hashInto fills in a file's hashes from its content, which must have the size
// that was seen.
func hashInto(ctx context.Context, f *File, r io.Reader) error {
	h256, h1 := sha256.New(), sha1.New()
	var head [4]byte
	n, err := io.ReadFull(reader{ctx, r}, head[:])
	if err != nil && n == 0 && f.Size > 0 {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	r = io.MultiReader(bytes.NewReader(head[:n]), r)
	size, err := io.Copy(io.MultiWriter(h256, h1), reader{ctx, r})
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	if size != f.Size {
		return fault.New(fault.Conflict, f.Path, "the file changed while it was read").
			WithTry("push again once nothing writes into the directory")
	}
	if runtime.GOOS == "windows" && looksExecutable(head[:n]) {
		f.Mode = Executable
	}
	f.SHA256, f.SHA1 = hex.EncodeToString(h256.Sum(nil)), hex.EncodeToString(h1.Sum(nil))
	return nil
}

// looksExecutable stands in for the mode on systems that have none: scripts and
// ELF programs would not start without it.
func looksExecutable(head []byte) bool {
	return bytes.HasPrefix(head, []byte("#!")) || bytes.Equal(head, []byte("\x7fELF"))
}
