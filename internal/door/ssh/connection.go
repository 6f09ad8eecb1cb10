package ssh

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"naru/internal/auth"
)

// connection is a client that was let in.
type connection struct {
	*Server
	who    auth.Identity
	into   Instance
	remote string
	idle   *time.Timer
	open   atomic.Int64 // channels
}

// serve answers what a client asks until it is gone; commands that still run are
// killed then.
func (c *connection) serve(ctx context.Context, conn *ssh.ServerConn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { c.answer(requests) })
	for asked := range channels {
		if c.open.Load() >= int64(c.limits.Channels) {
			_ = asked.Reject(ssh.ResourceShortage, "too many channels on this connection") // it may be gone
			continue
		}
		serve := map[string]func(context.Context, ssh.NewChannel){"session": c.session, "direct-tcpip": c.forward}[asked.ChannelType()]
		if serve == nil {
			_ = asked.Reject(ssh.UnknownChannelType, "naru serves session and direct-tcpip") // likewise
			continue
		}
		c.open.Add(1)
		all.Go(func() {
			defer c.open.Add(-1)
			serve(ctx, asked)
		})
	}
	_ = conn.Close() // nothing more comes
}

// answer replies to what concerns the whole connection: clients ask whether
// somebody is there, and want remote forwarding, which there is none of.
func (c *connection) answer(requests <-chan *ssh.Request) {
	for r := range requests {
		if r.WantReply {
			_ = r.Reply(r.Type == "keepalive@cloudfoundry.org" || r.Type == "keepalive@openssh.com", nil) // it may be gone
		}
	}
}

// alive puts off the end that a silent connection comes to.
func (c *connection) alive() { c.idle.Reset(c.limits.Idle) }

// counted is a channel whose bytes keep the connection alive.
type counted struct {
	ssh.Channel
	alive func()
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Channel.Read(p)
	c.alive()
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Channel.Write(p)
	c.alive()
	return n, err
}
