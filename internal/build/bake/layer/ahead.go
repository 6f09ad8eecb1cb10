package layer

import (
	"context"
	"io"
	"sync"
	"time"
)

// Sources are decompressed ahead of the one being written, each into a bounded
// queue of chunks: with 6 at once no more than about 100 MiB are held.
const (
	chunkSize    = 256 << 10
	chunksAhead  = 64
	defaultAhead = 6
)

type aheadOf struct {
	streams []*stream
	tickets chan struct{}
	wg      sync.WaitGroup
}

type chunk struct {
	buf *[chunkSize]byte
	n   int
}

// stream is read by the writer and filled by one goroutine.
type stream struct {
	chunks chan chunk
	rest   []byte
	from   *[chunkSize]byte // what rest is of, to be reused
	err    error            // set before chunks is closed
	date   time.Time        // set before the first chunk is sent
	pool   *sync.Pool
}

func readAhead(ctx context.Context, sources []Source, n int) *aheadOf {
	if n <= 0 {
		n = defaultAhead
	}
	a := &aheadOf{tickets: make(chan struct{}, n)}
	pool := &sync.Pool{New: func() any { return new([chunkSize]byte) }}
	for range sources {
		a.streams = append(a.streams, &stream{chunks: make(chan chunk, chunksAhead), pool: pool})
	}
	a.wg.Go(func() {
		for i, s := range sources {
			st := a.streams[i]
			select {
			case a.tickets <- struct{}{}:
			case <-ctx.Done():
				st.end(ctx.Err())
				continue
			}
			a.wg.Go(func() { st.end(st.fill(ctx, s)) })
		}
	})
	return a
}

// done lets one more source start.
func (a *aheadOf) done() { <-a.tickets }

// wait returns when every goroutine has ended; the context must be cancelled or
// all streams read.
func (a *aheadOf) wait() { a.wg.Wait() }

func (s *stream) end(err error) {
	s.err = err
	close(s.chunks)
}

func (s *stream) fill(ctx context.Context, src Source) error {
	r, err := src.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	s.date = r.Date
	for {
		buf := s.pool.Get().(*[chunkSize]byte)
		n, err := fillUp(r, buf[:])
		if n > 0 {
			select {
			case s.chunks <- chunk{buf, n}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err == io.EOF { //nolint:errorlint // as fillUp promises it
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fillUp reads until buf is full or the reader ends. Unlike io.ReadFull it
// keeps "ended" and "was cut off" apart.
func fillUp(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.from != nil {
			s.pool.Put(s.from)
			s.from = nil
		}
		c, ok := <-s.chunks
		if !ok {
			if s.err != nil {
				return 0, s.err
			}
			return 0, io.EOF
		}
		s.rest, s.from = c.buf[:c.n], c.buf
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
