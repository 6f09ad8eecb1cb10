package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"naru/internal/atomicfile"
	"naru/internal/fault"
)

// Key signs access tokens. It is parsed once.
type Key struct {
	private *ecdsa.PrivateKey // on P-256
	id      string            // names the public half in the tokens' headers
}

// NewKey makes a key that exists in memory only.
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make token key: %w", err)
	}
	return keyOf(private)
}

func keyOf(private *ecdsa.PrivateKey) (*Key, error) {
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("name token key: %w", err)
	}
	sum := sha256.Sum256(der)
	return &Key{private: private, id: base64.RawURLEncoding.EncodeToString(sum[:12])}, nil
}

// LoadKey reads the key from a PEM file. Where there is none it makes one, mode
// 0600 in a folder of mode 0700. Without the file all tokens in people's hands
// are worthless and they log in again; nothing else is lost.
func LoadKey(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read token key: %w", err)
	}
	if block, _ := pem.Decode(text); block != nil {
		if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if private, ok := parsed.(*ecdsa.PrivateKey); ok && private.Curve == elliptic.P256() {
				return keyOf(private)
			}
		}
	}
	return nil, fault.New(fault.Invalid, path, "the file holds no P-256 key in PEM form").
		WithTry("remove the file; naru makes another key, and everybody logs in again")
}

func makeKey(path string) (*Key, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.private)
	if err != nil {
		return nil, fmt.Errorf("encode token key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make folder of token key: %w", err)
	}
	return key, atomicfile.Write(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// Private is the key itself, for a door that signs tokens of its own form.
func (k *Key) Private() *ecdsa.PrivateKey { return k.private }

// Public is what checks the tokens that the key signs.
func (k *Key) Public() *ecdsa.PublicKey { return &k.private.PublicKey }

// ID names the key in the headers of tokens.
func (k *Key) ID() string { return k.id }

// Derive makes a secret of 32 bytes for another purpose out of the key: the same
// one as long as the key is the same.
func (k *Key) Derive(purpose string) ([]byte, error) {
	private, err := k.private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("derive secret: %w", err)
	}
	return hkdf.Key(sha256.New, private, nil, purpose, sha256.Size)
}
