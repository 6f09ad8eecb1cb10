package domain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"regexp"

	"golang.org/x/net/publicsuffix"

	"naru/internal/app"
)

const (
	prefix     = "_naru." // of the names of TXT records
	maxRecords = 5        // looked at for one host
)

var (
	letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	written = regexp.MustCompile(`^naru=[a-z2-7]{32}$`)
)

// token is the content of the TXT records that give hosts to a space. It is no
// secret: who repeats it gives a host to that space.
func (d *Desk) token(space app.SpaceID) string {
	mac := hmac.New(sha256.New, d.cfg.Secret)
	mac.Write([]byte("space of domains\x00" + string(space)))
	return "naru=" + letters.EncodeToString(mac.Sum(nil)[:20])
}

// registered is the domain of a name that somebody registered, below which all
// names are theirs.
func registered(name string) string {
	top, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil { // it is a public suffix itself
		return name
	}
	return top
}
