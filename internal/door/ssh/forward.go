package ssh

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"naru/internal/fault"
)

// dialTimeout is how long a forwarded connection may take to be made.
const dialTimeout = 10 * time.Second

// forward carries one connection that a client forwards into the instance.
func (c *connection) forward(ctx context.Context, asked ssh.NewChannel) {
	var in struct {
		Host     string
		Port     uint32
		FromHost string
		FromPort uint32
	}
	if ssh.Unmarshal(asked.ExtraData(), &in) != nil || in.Port == 0 || in.Port > 65535 || len(in.Host) > 253 {
		_ = asked.Reject(ssh.ConnectionFailed, "no such address") // the client may be gone
		return
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	conn, err := c.runner.Dial(dialing, c.who, c.into, net.JoinHostPort(in.Host, strconv.FormatUint(uint64(in.Port), 10)))
	cancel()
	if err != nil {
		why := "the instance cannot reach " + net.JoinHostPort(in.Host, strconv.FormatUint(uint64(in.Port), 10))
		if f := fault.Of(err); f.Kind != fault.Internal {
			why = reason(err)
		}
		_ = asked.Reject(ssh.ConnectionFailed, why) // likewise
		return
	}
	defer func() { _ = conn.Close() }()
	raw, requests, err := asked.Accept()
	if err != nil {
		return // it is gone
	}
	go ssh.DiscardRequests(requests) // ends with the channel
	defer func() { _ = raw.Close() }()
	stop := context.AfterFunc(ctx, func() { _, _ = conn.Close(), raw.Close() })
	defer stop()
	channel := counted{raw, c.alive}
	var inward sync.WaitGroup
	inward.Go(func() {
		_, _ = io.Copy(conn, channel) // ends with either side
		halfClose(conn)
	})
	_, _ = io.Copy(channel, conn) // likewise
	_ = raw.CloseWrite()
	inward.Wait() // until the client has said all
}

// halfClose tells the instance that no more comes.
func halfClose(conn net.Conn) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // it may be closed
	}
}
