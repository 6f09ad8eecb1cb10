package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"naru/internal/atomicfile"
	"naru/internal/fault"
)

// LoadKey reads the host key from a file in OpenSSH's form. Where there is none it
// makes one, mode 0600. Clients that know the host warn when the key is another.
func LoadKey(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read host key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, path, "the file holds no private key in OpenSSH's form").WithCause(err).
			WithTry("remove the file; naru makes another key, of which clients that know the host will warn")
	}
	return key, nil
}

func makeKey(path string) (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "naru")
	if err != nil {
		return nil, fmt.Errorf("encode host key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make folder of host key: %w", err)
	}
	if err := atomicfile.Write(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(private)
}

// Fingerprint names a key as the cf client checks it: SHA-256 in base64 without
// padding, 43 characters.
func Fingerprint(key ssh.Signer) string {
	return strings.TrimPrefix(ssh.FingerprintSHA256(key.PublicKey()), "SHA256:")
}
