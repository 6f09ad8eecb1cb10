package gateway

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lot is where connections wait that have been idle for a moment. A goroutine
// that waits keeps its stack, which is most of what an idle connection costs;
// here one waits for all of them.
type lot struct {
	epoll

	mu     sync.Mutex // guards what follows
	parked map[int32]*conn
	over   []*conn       // waited for too long, to be closed
	since  int           // parked since memory was last given back
	used   time.Duration // of processor time, as of the last look
}

func (l *lot) open() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parked = map[int32]*conn{}
	l.epoll, err = openEpoll("idle connections")
	return err
}

// run brings connections back when something comes, until ctx ends.
func (l *lot) run(ctx context.Context, resume func(*conn)) {
	l.epoll.run(ctx, func(e *unix.EpollEvent) {
		if c := l.take(e.Fd); c != nil {
			go resume(c)
		}
	})
}

// Memory is given back after so many connections were parked: their stacks are
// garbage, and a gateway that allocates nothing collects none. That takes a tenth of
// a second of a processor, for which requests would wait; so it is done when hardly
// any come, and on a gateway that is never idle is left to the runtime, which
// collects every other minute.
const (
	collectEvery = 4096
	collectIdle  = tick / 10 // processor time since the last look
)

// tidy gives memory back, if it is time. The watcher calls it with every look.
func (l *lot) tidy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since < collectEvery {
		l.used = 0
		return
	}
	used := processorTime()
	if idle := l.used > 0 && used-l.used < collectIdle; idle {
		l.since = 0
		go debug.FreeOSMemory()
	}
	l.used = used
}

// processorTime is what the process has taken.
func processorTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // never fails
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// park takes a connection over from its goroutine, which must not touch it any
// more; false: it stays with it. Whatever comes, or came already, brings it
// back.
func (l *lot) park(c *conn) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := c.sock.Control(func(fd uintptr) {
		c.place = int32(fd)
		ok = l.add(fd, unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}) == nil
	})
	if err != nil || !ok {
		return false
	}
	l.parked[c.place] = c
	l.since++
	return true
}

// take brings back what is parked under a descriptor.
func (l *lot) take(fd int32) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.parked[fd]
	l.leave(fd)
	return c
}

// fetch brings a connection back; false: it is not here.
func (l *lot) fetch(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(c)
}

// expire has a connection closed by the next sweep.
func (l *lot) expire(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.find(c) {
		l.over = append(l.over, c)
	}
}

// sweep returns those to be closed.
func (l *lot) sweep() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := l.over
	l.over = nil
	return over
}

// find is fetch for a caller that holds the lock.
func (l *lot) find(c *conn) bool {
	if l.parked[c.place] != c {
		return false
	}
	l.leave(c.place)
	return true
}

// leave forgets a descriptor. The caller holds the lock.
func (l *lot) leave(fd int32) {
	delete(l.parked, fd)
	l.remove(uintptr(fd))
}
