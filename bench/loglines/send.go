package main

import (
	"bufio"
	"fmt"
	"net"
	"time"
)

// send writes lines as RFC 5424 frames, and returns when they are written.
func send(file, address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(c, 1<<20)
	head := "<14>1 " + time.Now().UTC().Format(time.RFC3339) + " host app 1 - - "
	err = lines(file, func(text string) error {
		_, err := fmt.Fprintf(w, "%d %s%s", len(head)+len(text), head, text)
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return err
	}
	return c.Close()
}
