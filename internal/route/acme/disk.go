package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"naru/internal/atomicfile"
	"naru/internal/route/certificate"
)

// accountKey reads the key of the account, or makes it.
func (k *Keeper) accountKey() (crypto.Signer, error) {
	path := filepath.Join(k.cfg.Dir, "account.pem")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make account key: %w", err)
		}
		if text, err = keyPEM(key); err != nil {
			return nil, err
		}
		return key, write(path, text)
	}
	if err != nil {
		return nil, fmt.Errorf("read account key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read account key %s: it is not in PEM form", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("read account key %s: %w", path, err)
	}
	return signer, nil
}

// kept is what the disk has for a host.
func (k *Keeper) kept(host string) *entry {
	text, err := os.ReadFile(k.path(host))
	if err != nil {
		return &entry{}
	}
	var p certificate.Pair
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			p.Chain = append(p.Chain, pem.EncodeToMemory(block)...)
		} else {
			p.Key = pem.EncodeToMemory(block)
		}
	}
	p.Names = []string{host}
	facts, err := certificate.Check(p, host, k.cfg.Clock())
	if err != nil {
		return &entry{} // it is asked for anew
	}
	return &entry{pair: p, facts: facts}
}

func (k *Keeper) keep(host string, p certificate.Pair) error {
	return write(k.path(host), append(append([]byte(nil), p.Key...), p.Chain...))
}

// path is where a host's certificate is kept; a host in the table's form is a
// good name of a file.
func (k *Keeper) path(host string) string { return filepath.Join(k.cfg.Dir, "hosts", host+".pem") }

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(path, text, 0o600)
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
