//go:build !linux

package gateway

import (
	"errors"
	"net"
)

// pair is Linux only, as the gateway is.
func pair() (near, far *net.UnixConn, err error) { return nil, nil, errors.ErrUnsupported }
