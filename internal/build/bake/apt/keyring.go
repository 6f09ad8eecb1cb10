package apt

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// debianKeys is debian-archive-keyring.gpg of the package of that name
// (2023.3+deb12u2): public keys only, carried along so that a bake works on
// hosts that are not Debian.
//
//go:embed debian-archive-keyring.gpg
var debianKeys []byte

// Keyring is the set of keys whose signature we believe.
type Keyring struct {
	Name string // for messages
	keys openpgp.EntityList
}

// DebianKeyring is the one built in.
func DebianKeyring() (*Keyring, error) {
	return ReadKeyring("built-in debian-archive-keyring", bytes.NewReader(debianKeys))
}

// LoadKeyring reads a keyring file, armored or not.
func LoadKeyring(path string) (*Keyring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	defer f.Close()
	return ReadKeyring(path, f)
}

// ReadKeyring reads keys in either form; name is used in messages.
func ReadKeyring(name string, r io.Reader) (*Keyring, error) {
	raw, err := io.ReadAll(io.LimitReader(r, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("read keyring %s: %w", name, err)
	}
	read := openpgp.ReadKeyRing
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN")) {
		read = openpgp.ReadArmoredKeyRing
	}
	keys, err := read(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read keyring %s: %w", name, err)
	}
	return &Keyring{Name: name, keys: keys}, nil
}

// Verify returns the signed text of a clear-signed document, and nothing that
// stands outside the signature. Debian signs with several keys at once; one
// good signature of a key we have is enough.
func (k *Keyring) Verify(document []byte, now time.Time) ([]byte, error) {
	block, rest := clearsign.Decode(document)
	if block == nil {
		return nil, errors.New("not a clear-signed document")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("there is text after the signature")
	}
	sigs, err := signatures(block.ArmoredSignature)
	if err != nil {
		return nil, err
	}
	cfg := &packet.Config{Time: func() time.Time { return now }}
	var why []error
	for _, sig := range sigs {
		_, err := openpgp.CheckDetachedSignature(k.keys, bytes.NewReader(block.Bytes), bytes.NewReader(sig), cfg)
		if err == nil {
			return block.Plaintext, nil
		}
		why = append(why, err)
	}
	return nil, fmt.Errorf("no good signature: %w", errors.Join(why...))
}

// signatures splits a signature block into its packets, so that one signature
// by an unknown or expired key does not hide a good one behind it.
func signatures(block *armor.Block) ([][]byte, error) {
	var all [][]byte
	packets := packet.NewReader(block.Body)
	for {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read signature: %w", err)
		}
		sig, ok := p.(*packet.Signature)
		if !ok {
			continue
		}
		var b bytes.Buffer
		if err := sig.Serialize(&b); err != nil {
			return nil, fmt.Errorf("read signature: %w", err)
		}
		all = append(all, b.Bytes())
	}
	if len(all) == 0 {
		return nil, errors.New("no signature in the signature block")
	}
	return all, nil
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
