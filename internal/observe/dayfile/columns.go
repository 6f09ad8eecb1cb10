package dayfile

// Columns reads what an open block is made of: numbers, which are varints as
// encoding/binary writes them, and texts. What does not fit sets Bad and is zero.
type Columns[T string | []byte] struct {
	Rest T
	Bad  bool
}

// Byte reads one byte.
func (c *Columns[T]) Byte() byte {
	if len(c.Rest) == 0 {
		c.Bad = true
		return 0
	}
	v := c.Rest[0]
	c.Rest = c.Rest[1:]
	return v
}

// Uint reads a number.
func (c *Columns[T]) Uint() (v uint64) {
	for i := range min(len(c.Rest), 10) {
		b := c.Rest[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.Rest = c.Rest[i+1:]
			return v
		}
	}
	c.Bad = true
	return 0
}

// Int reads a number with a sign.
func (c *Columns[T]) Int() int64 {
	u := c.Uint()
	return int64(u>>1) ^ -int64(u&1)
}

// Count reads a number that cannot be larger than most.
func (c *Columns[T]) Count(most int) int {
	v := c.Uint()
	if most < 0 || v > uint64(most) {
		c.Bad = true
		return 0
	}
	return int(v)
}

// Text reads n bytes.
func (c *Columns[T]) Text(n int) (text T) {
	if n < 0 || n > len(c.Rest) {
		c.Bad = true
		return text
	}
	text = c.Rest[:n]
	c.Rest = c.Rest[n:]
	return text
}
