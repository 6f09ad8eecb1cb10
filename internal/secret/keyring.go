package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"naru/internal/atomicfile"
	"naru/internal/fault"
)

// KeySize is the length of a master key in bytes (AES-256).
const KeySize = 32

// ErrUnknownKey is returned by Open for a value sealed with a key that the ring
// does not hold.
var ErrUnknownKey = errors.New("sealed with a key that is not in the key file")

// Keyring seals and opens values with AES-256-GCM. The newest key seals, every
// key opens, so that keys rotate while naru runs. A sealed value is
// "KEYID.BASE64(nonce || ciphertext)"; what it belongs to (a row's identity) is
// authenticated with it, so that a value copied to another row does not open.
type Keyring struct{ keys []key } // newest first, never empty

type key struct {
	id   string
	raw  []byte
	aead cipher.AEAD
}

// NewKeyring makes a ring of raw keys, newest first.
func NewKeyring(raws ...[]byte) (*Keyring, error) {
	if len(raws) == 0 {
		return nil, errors.New("a key ring needs a key")
	}
	ring := &Keyring{}
	for _, raw := range raws {
		if len(raw) != KeySize {
			return nil, fmt.Errorf("a key has %d bytes, not %d", len(raw), KeySize)
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, fmt.Errorf("make cipher: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("make cipher: %w", err)
		}
		sum := sha256.Sum256(append([]byte("naru key id\x00"), raw...))
		ring.keys = append(ring.keys, key{id: hex.EncodeToString(sum[:4]), raw: slices.Clone(raw), aead: aead})
	}
	return ring, nil
}

// LoadKeyring reads a key file: one base64 key per line, newest first. Where the
// file does not exist it is made with one fresh key, mode 0600.
func LoadKeyring(path string) (*Keyring, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		raw := make([]byte, KeySize)
		if _, err := rand.Read(raw); err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
		ring, err := NewKeyring(raw)
		if err != nil {
			return nil, err
		}
		return ring, ring.Save(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	var raws [][]byte
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != KeySize {
			return nil, fault.New(fault.Invalid, path, "line is not a base64 key of %d bytes", KeySize).
				WithTry("restore the key file from a backup; without it sealed values cannot be read")
		}
		raws = append(raws, raw)
	}
	if len(raws) == 0 {
		return nil, fault.New(fault.Invalid, path, "the key file is empty").
			WithTry("restore the key file from a backup; without it sealed values cannot be read")
	}
	return NewKeyring(raws...)
}

// Save writes the key file with mode 0600, atomically.
func (r *Keyring) Save(path string) error {
	var b strings.Builder
	for _, k := range r.keys {
		b.WriteString(base64.StdEncoding.EncodeToString(k.raw) + "\n")
	}
	return atomicfile.Write(path, []byte(b.String()), 0o600)
}

// Rotated returns a ring with a fresh key in front of the old ones.
func (r *Keyring) Rotated() (*Keyring, error) {
	raw := make([]byte, KeySize)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	raws := [][]byte{raw}
	for _, k := range r.keys {
		raws = append(raws, k.raw)
	}
	return NewKeyring(raws...)
}

// Newest returns a ring with only the newest key, for after everything has been
// sealed anew.
func (r *Keyring) Newest() *Keyring { return &Keyring{keys: r.keys[:1]} }

// KeyID names the key that Seal uses.
func (r *Keyring) KeyID() string { return r.keys[0].id }

// Holds reports whether the key of that id is in the ring.
func (r *Keyring) Holds(id string) bool {
	return slices.ContainsFunc(r.keys, func(k key) bool { return k.id == id })
}

// SealedWithNewest reports whether a sealed value needs no new sealing.
func (r *Keyring) SealedWithNewest(sealed string) bool {
	return strings.HasPrefix(sealed, r.keys[0].id+".")
}

// Seal encrypts a value that belongs to owner.
func (r *Keyring) Seal(value Secret, owner string) (string, error) {
	k := r.keys[0]
	nonce := make([]byte, k.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("make nonce: %w", err)
	}
	box := k.aead.Seal(nonce, nonce, []byte(value.Reveal()), []byte(owner))
	return k.id + "." + base64.StdEncoding.EncodeToString(box), nil
}

// Open decrypts what Seal made for the same owner.
func (r *Keyring) Open(sealed, owner string) (Secret, error) {
	id, text, ok := strings.Cut(sealed, ".")
	if !ok {
		return Secret{}, errors.New("open sealed value: malformed")
	}
	i := slices.IndexFunc(r.keys, func(k key) bool { return k.id == id })
	if i < 0 {
		return Secret{}, fmt.Errorf("open sealed value: key %s: %w", id, ErrUnknownKey)
	}
	box, err := base64.StdEncoding.DecodeString(text)
	size := r.keys[i].aead.NonceSize()
	if err != nil || len(box) < size {
		return Secret{}, errors.New("open sealed value: malformed")
	}
	plain, err := r.keys[i].aead.Open(nil, box[:size], box[size:], []byte(owner))
	if err != nil {
		return Secret{}, errors.New("open sealed value: it was changed, or belongs to something else")
	}
	return New(string(plain)), nil
}
