package cf

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"naru/internal/artifact"
	"naru/internal/source"
)

// ticketLife is how long the address of a download is good for a request.
const ticketLife = 5 * time.Minute

// blobRoutes are the addresses that downloads lead to, as those of Cloud Foundry lead
// to its store of blobs: libraries go there without a login.
func blobRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/blobs/packages/{guid}", open: true, do: (*Door).packageBlob},
		{pattern: "GET /v3/blobs/droplets/{guid}", open: true, do: (*Door).dropletBlob},
	}
}

// leadTo answers who may have a file with an address that serves it for a while.
func (d *Door) leadTo(c *call, kind, id string) error {
	path := "/v3/blobs/" + kind + "/" + id
	until := strconv.FormatInt(time.Now().Add(ticketLife).Unix(), 10)
	q := url.Values{"until": {until}, "signature": {d.ticket(path, until)}}
	c.w.Header().Set("Location", c.at.api+path+"?"+q.Encode())
	c.w.WriteHeader(http.StatusFound)
	return nil
}

// ticket is the proof that this door made an address.
func (d *Door) ticket(path, until string) string {
	sum := hmac.New(sha256.New, d.tickets)
	sum.Write([]byte(path + "\n" + until))
	return hex.EncodeToString(sum.Sum(nil))
}

// led reports whether a request came by an address that is still good.
func (d *Door) led(c *call) bool {
	q := c.r.URL.Query()
	until, err := strconv.ParseInt(q.Get("until"), 10, 64)
	return err == nil && time.Now().Unix() <= until && hmac.Equal([]byte(q.Get("signature")), []byte(d.ticket(c.r.URL.Path, q.Get("until"))))
}

func (d *Door) packageBlob(c *call) error {
	if !d.led(c) {
		return unknownRequest
	}
	p, _, err := d.packAt(c, c.guid())
	switch {
	case err != nil:
		return err
	case p.Kind != source.Bits || p.State != source.Ready: // it changed meanwhile
		return missing("Package")
	}
	out := c.file("application/zip", string(p.ID)+".zip")
	return d.sent(c, out, d.Intake.WriteZip(c.ctx(), out, p.Package))
}

func (d *Door) dropletBlob(c *call) error {
	if !d.led(c) {
		return unknownRequest
	}
	img, err := d.Images.Image(c.ctx(), artifact.ID(c.guid()))
	if err != nil {
		return gone(err, "Droplet")
	}
	return d.sendFiles(c, img)
}
