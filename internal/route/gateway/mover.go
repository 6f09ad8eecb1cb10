package gateway

import (
	"io"
	"runtime"
	"time"
)

// mover is one direction of a tunnel. A silent one holds no buffer, a busy one
// no more than one.
type mover struct {
	t        *tunnel
	src, dst *end
	n        int64

	to      uintptr // dst's descriptor, for as long as directly lasts
	careful bool    // reads on until there is nothing
	lent    *large  // holds rest
	rest    []byte  // what dst did not take at once
	err     error
}

// move passes bytes on until their end, and that too.
func (m *mover) move() error {
	err := m.put(m.src.early)
	if err == nil {
		if direct && m.src.raw != nil {
			err = m.directly()
		} else {
			err = m.copy()
		}
	}
	if err != io.EOF {
		return err
	}
	if half, ok := m.dst.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return nil
	}
	// No way to end one direction: end both, as the peer expects its end to be seen.
	return m.dst.nc.Close()
}

// put writes what came, however long that takes.
func (m *mover) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	m.n += int64(len(b))
	m.t.flow.goes()
	_, err := m.dst.nc.Write(b)
	return err
}

// copy is for connections that are not read directly.
func (m *mover) copy() error {
	buf := getSmall()
	defer smalls.Put(buf)
	for {
		n, err := m.src.nc.Read(buf[:])
		if n > 0 {
			if werr := m.put(buf[:n]); werr != nil {
				return werr
			}
		}
		if err != nil {
			return err
		}
	}
}

// directly holds on to the descriptor that is written to, so that it stays what
// it is.
func (m *mover) directly() (err error) {
	if m.dst.raw == nil {
		return m.read()
	}
	gone := m.dst.raw.Control(func(to uintptr) {
		m.to = to + 1 // 0 is none
		err = m.read()
	})
	if gone != nil {
		return gone
	}
	return err
}

// read reads until an end.
func (m *mover) read() error {
	as, told := m.t.hangups.watch(m)
	defer m.t.hangups.forget(m, as)
	m.careful = !told
	for turn := m.step; ; {
		err := m.src.raw.Read(turn)
		if interrupted(err) && m.alerted() {
			continue
		}
		if err == nil {
			err = m.err
		}
		if err == nil {
			err = m.flush()
		}
		if err != nil {
			return err
		}
	}
}

// alerted reports whether it was alert that ended a wait, and reads on until
// there is nothing from now on.
func (m *mover) alerted() bool {
	if m.t.over() {
		return false
	}
	m.careful = true
	_ = m.src.nc.SetReadDeadline(time.Time{})
	return !m.t.over() // who interrupts says so first
}

// alert has the reader look for what else than bytes has come. Any goroutine may
// call it.
func (m *mover) alert() { _ = m.src.nc.SetReadDeadline(past) }

// step is called whenever something may have come, and once before that; false
// waits for more.
func (m *mover) step(fd uintptr) bool {
	buf := getLarge()
	for {
		n, err := receive(fd, buf[:])
		if err == errAgain {
			break
		}
		if err == nil {
			err = m.pass(buf, n)
		}
		if err != nil || m.rest != nil {
			if m.err = err; m.rest == nil {
				larges.Put(buf)
			}
			return true
		}
		if n < len(buf) {
			if !m.careful {
				break // it was emptied; of what else comes the reader is told
			}
			continue
		}
		runtime.Gosched() // who has much to say gives way
	}
	larges.Put(buf)
	return false
}

// pass writes what dst takes at once. The rest keeps the buffer.
func (m *mover) pass(buf *large, n int) error {
	if m.to == 0 {
		return m.put(buf[:n])
	}
	m.n += int64(n)
	m.t.flow.goes()
	sent, err := transmit(m.to-1, buf[:n])
	if err != nil && err != errAgain {
		return err
	}
	if sent < n {
		m.lent, m.rest = buf, buf[sent:n]
	}
	return nil
}

// flush waits until dst has taken the rest. Nothing is read meanwhile, so who
// sends too much is held up.
func (m *mover) flush() error {
	_, err := m.dst.nc.Write(m.rest)
	larges.Put(m.lent)
	m.lent, m.rest = nil, nil
	return err
}
