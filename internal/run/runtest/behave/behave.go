// Package behave is the test app of the driver suite: one program that behaves
// well or badly as its arguments say. The real drivers run it as a binary in an
// image, the fake one calls it.
package behave

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Proc is the world of one process.
type Proc struct {
	Args           []string // without the program's name
	Env            func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Term           <-chan struct{} // told to stop
	Size           func() string   // of the terminal, "COLUMNSxROWS"
	Resized        <-chan struct{} // the terminal's size changed
	Listen         func(addr string) (net.Listener, error)
}

// Run behaves as the first argument says and returns the exit code:
//
//	serve          answers HTTP on $PORT; /exit?code=N ends it, /env?name=N prints, /print?lines=N logs
//	local          like serve, on 127.0.0.1 only
//	stubborn       like serve, and does not stop when told to
//	parent         like serve, with a child process that ignores signals
//	exit N         ends at once
//	crash          prints 30 lines, then exits 3
//	eat MIB        takes memory until it has that much
//	write MIB      writes a file of that size to $HOME, then waits
//	print TEXT...  prints to standard output
//	echo           copies standard input to standard output
//	size           prints the terminal's size, again after every change, until "q" is typed
//	dial ADDR      connects and prints what it was told, or exits 1
//	id             prints user and group
func Run(p Proc) int {
	name, rest := "serve", []string(nil)
	if len(p.Args) > 0 {
		name, rest = p.Args[0], p.Args[1:]
	}
	number := func() int {
		if len(rest) == 0 {
			return 0
		}
		n, _ := strconv.Atoi(rest[0])
		return n
	}
	switch name {
	case "serve":
		return p.serve("", p.Term)
	case "local":
		return p.serve("127.0.0.1", p.Term)
	case "stubborn":
		return p.serve("", nil)
	case "parent":
		child := exec.Command(os.Args[0], "stubborn-child")
		if err := child.Start(); err != nil {
			return p.fail(err)
		}
		return p.serve("", p.Term)
	case "stubborn-child":
		time.Sleep(time.Hour)
		return 0
	case "exit":
		return number()
	case "crash":
		for i := range 30 {
			fmt.Fprintf(p.Stderr, "line %d\n", i+1)
		}
		return 3
	case "eat":
		return eat(number())
	case "write":
		if err := os.WriteFile(p.Env("HOME")+"/big", make([]byte, number()<<20), 0o600); err != nil {
			return p.fail(err)
		}
		<-p.Term
		return 0
	case "print":
		fmt.Fprintln(p.Stdout, strings.Join(rest, " "))
		return 0
	case "echo":
		if _, err := io.Copy(p.Stdout, p.Stdin); err != nil {
			return p.fail(err)
		}
		return 0
	case "size":
		return p.size()
	case "dial":
		conn, err := net.DialTimeout("tcp", rest[0], 2*time.Second)
		if err != nil {
			return p.fail(err)
		}
		fmt.Fprintln(p.Stdout, "connected")
		conn.Close()
		return 0
	case "id":
		fmt.Fprintf(p.Stdout, "%d:%d\n", os.Getuid(), os.Getgid())
		return 0
	}
	return p.fail(fmt.Errorf("unknown behaviour %q", name))
}

func (p Proc) fail(err error) int {
	fmt.Fprintln(p.Stderr, err)
	return 1
}

// serve answers HTTP until it is told to end.
func (p Proc) serve(host string, term <-chan struct{}) int {
	l, err := p.Listen(net.JoinHostPort(host, p.Env("PORT")))
	if err != nil {
		return p.fail(err)
	}
	ended := make(chan int, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, p.Env(r.FormValue("name"))) })
	mux.HandleFunc("/exit", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		select {
		case ended <- code:
		default:
		}
	})
	mux.HandleFunc("/print", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("lines"))
		for i := range n {
			fmt.Fprintf(p.Stdout, "line %d\n", i+1)
		}
	})
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	fmt.Fprintln(p.Stdout, "listening")
	code := 0
	select {
	case code = <-ended:
	case <-term:
		fmt.Fprintln(p.Stdout, "stopping")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		srv.Close()
	}
	return code
}

func eat(mib int) int {
	var kept [][]byte
	for range mib {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = byte(i)
		}
		kept = append(kept, b)
	}
	return len(kept) - mib
}

func (p Proc) size() int {
	quit := make(chan struct{})
	go func() {
		in := bufio.NewReader(p.Stdin)
		for {
			if b, err := in.ReadByte(); err != nil || b == 'q' {
				close(quit)
				return
			}
		}
	}()
	for {
		fmt.Fprintf(p.Stdout, "size %s\n", p.Size())
		select {
		case <-p.Resized:
		case <-quit:
			return 0
		}
	}
}
