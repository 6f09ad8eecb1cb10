package main

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// echo is an app that switches to WebSocket and sends everything back as it
// came: the proxies in between only carry bytes, so frames are not read.
func echo(ctx context.Context, address string) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = c.Close() }()
			in := bufio.NewReader(c)
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
				"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
			_, _ = io.Copy(c, in)
		}()
	}
}

// frame is a masked binary frame of 125 bytes, as a browser sends one.
var frame = append([]byte{0x82, 0x80 | 125, 0, 0, 0, 0}, make([]byte, 125)...)

// sockets sends a frame on every connection as soon as the one before is back,
// and prints how many came back, in the words of wrk.
func (t target) sockets(conns int, long time.Duration) error {
	ctx, stop := context.WithTimeout(context.Background(), long)
	defer stop()
	var (
		running sync.WaitGroup
		count   atomic.Int64
		failed  = make(chan error, conns)
	)
	for range conns {
		c, err := t.join()
		if err != nil {
			return err
		}
		running.Go(func() {
			defer func() { _ = c.Close() }()
			in := make([]byte, len(frame))
			for ctx.Err() == nil {
				if _, err := c.Write(frame); err != nil {
					failed <- err
					return
				}
				if _, err := io.ReadFull(c.in, in); err != nil {
					failed <- err
					return
				}
				count.Add(1)
			}
		})
	}
	running.Wait()
	close(failed)
	for err := range failed {
		return err
	}
	fmt.Printf("%d requests in %s\nRequests/sec: %.0f\n", count.Load(), long, float64(count.Load())/long.Seconds())
	return nil
}

// join opens a WebSocket.
func (t target) join() (*client, error) {
	c, err := t.dial()
	if err != nil {
		return nil, err
	}
	if _, err = io.WriteString(c, t.request); err == nil {
		var res *http.Response
		if res, err = http.ReadResponse(c.in, nil); err == nil && res.StatusCode != http.StatusSwitchingProtocols {
			err = errors.New("no WebSocket: " + res.Status)
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}
