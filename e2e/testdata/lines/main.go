// Command lines is an app that speaks no HTTP: it answers each line with its
// release and that line. Clients that begin with TLS see its own certificate.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"time"
)

func main() {
	config, err := own("the app's own")
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", ":"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(c, config)
	}
}

func serve(c net.Conn, config *tls.Config) {
	defer c.Close()
	in := bufio.NewReader(c)
	if first, err := in.Peek(1); err == nil && first[0] == 0x16 { // a handshake
		c = tls.Server(&begun{c, in}, config)
		in = bufio.NewReader(c)
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(c, "%s %s", os.Getenv("RELEASE"), line); err != nil {
			return
		}
	}
}

// begun is a connection of which something was read already.
type begun struct {
	net.Conn
	in *bufio.Reader
}

func (b *begun) Read(p []byte) (int, error) { return b.in.Read(p) }

func own(name string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, err
}
