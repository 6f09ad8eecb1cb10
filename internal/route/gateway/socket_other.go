//go:build !linux || !(amd64 || arm64)

package gateway

import (
	"errors"
	"net"
)

// direct says that sockets are read and written without net's help; here they
// are not.
const direct = false

var errAgain = errors.ErrUnsupported

func receive(uintptr, []byte) (int, error)  { return 0, errAgain }
func transmit(uintptr, []byte) (int, error) { return 0, errAgain }
func peek(uintptr) bool                     { return true }

func silent(net.Conn) bool { return true }

// ended cannot be asked here: that a client left is seen when it is written to.
func ended(net.Conn) (half, gone bool) { return false, false }
