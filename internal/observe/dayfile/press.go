package dayfile

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// ErrDamaged says that a block is not what was written.
var ErrDamaged = errors.New("the block is damaged")

// Press compresses blocks and expands them. It may be used by many at once.
type Press struct {
	quick, thorough *zstd.Encoder
	unzip           *zstd.Decoder
}

// maxBlock bounds what a block may take when it is open: the largest is one item
// of the longest kind behind a nearly full block.
const maxBlock = 64 << 20

// NewPress makes a press, which is to be closed.
func NewPress() (*Press, error) {
	quick, err1 := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	thorough, err2 := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
	unzip, err3 := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlock))
	return &Press{quick, thorough, unzip}, errors.Join(err1, err2, err3)
}

// Close gives the memory back.
func (p *Press) Close() {
	p.unzip.Close() // the encoders have nothing to end: none is a stream
}

// Shut compresses a block: quickly what will soon be merged or comes in large
// amounts, thoroughly what was merged and stays. It takes memory where that is large enough.
func (p *Press) Shut(raw, memory []byte, thoroughly bool) []byte {
	enc := p.quick
	if thoroughly {
		enc = p.thorough
	}
	return enc.EncodeAll(raw, memory[:0])
}

// Open expands a block, into memory where that is large enough.
func (p *Press) Open(data, memory []byte) ([]byte, error) {
	raw, err := p.unzip.DecodeAll(data, memory[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return raw, nil
}
