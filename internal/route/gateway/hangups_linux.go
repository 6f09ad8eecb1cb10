package gateway

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"
)

// hangups tells readers that something else than plain bytes has come: the
// peer's end, or urgent data. The runtime's poller tells once that something
// came, and not what. Who is told no more had to read on after each message until
// there is nothing, or miss an end that came with it.
type hangups struct {
	epoll

	mu      sync.Mutex // guards what follows
	readers map[int64]*mover
	last    int64
}

func (h *hangups) open() (err error) {
	h.readers = map[int64]*mover{}
	h.epoll, err = openEpoll("ends of tunnels")
	return err
}

// run tells them until ctx ends.
func (h *hangups) run(ctx context.Context) {
	h.epoll.run(ctx, func(e *unix.EpollEvent) {
		h.mu.Lock()
		m := h.readers[int64(e.Pad)<<32|int64(uint32(e.Fd))]
		h.mu.Unlock()
		if m != nil {
			m.alert()
		}
	})
}

// watch tells a reader from here on, also of what came already, until forget.
// False: it is not told.
func (h *hangups) watch(m *mover) (as int64, ok bool) {
	h.mu.Lock()
	h.last++
	as = h.last
	h.readers[as] = m
	h.mu.Unlock()
	err := m.src.raw.Control(func(fd uintptr) {
		ok = h.add(fd, unix.EpollEvent{
			Events: unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET, Fd: int32(as), Pad: int32(as >> 32), //nolint:gosec // its halves
		}) == nil
	})
	return as, ok && err == nil
}

// forget ends what watch began.
func (h *hangups) forget(m *mover, as int64) {
	h.mu.Lock()
	delete(h.readers, as)
	h.mu.Unlock()
	_ = m.src.raw.Control(h.remove)
}
