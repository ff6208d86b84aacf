package apply

import (
	"slices"

	"changeover/cdc/row"
	"changeover/internal/fault"
)

// packer puts statements into packets. One packet is one round trip, so a batch is one packet
// unless it is too large; statements are never cut.
type packer struct {
	buf       []byte
	limit     int // bytes that the server takes in one packet
	statement int // bytes at which an INSERT is closed
	packet    int // bytes at which a packet is sent, at most limit
	send      func(packet []byte) error
	packets   int
	mariaDB   bool // the server is one

	open  *tableSQL // of the INSERT that buf ends with; nil if buf ends with a whole statement
	tail  string    // of that INSERT
	start int       // where the last statement starts in buf
}

// end closes a statement, and sends what there is if that is enough for a packet. A statement with
// which the packet would be too large goes into the next one.
func (p *packer) end() error {
	p.buf = append(p.buf, ';')
	if len(p.buf) > p.limit && p.start > 0 {
		last := p.buf[p.start:]
		p.buf = p.buf[:p.start]
		if err := p.flush(); err != nil {
			return err
		}
		p.buf = append(p.buf, last...) // moves it to the front of the same memory
	}
	if len(p.buf) > p.limit {
		return fault.New(fault.ApplyPacket, "a statement of %d bytes, the target takes %d", len(p.buf), p.limit)
	}
	p.start = len(p.buf)
	if len(p.buf) >= p.packet {
		return p.flush()
	}
	return nil
}

// flush sends what there is.
func (p *packer) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	p.packets++
	// The last ; would be one more, empty statement.
	err := p.send(p.buf[:len(p.buf)-1])
	p.buf, p.start = p.buf[:0], 0
	return err
}

// row adds a row to the open INSERT, or opens one.
func (p *packer) row(t *tableSQL, tail string, r row.Row) error {
	if p.open != nil && (p.open != t || p.tail != tail) {
		if err := p.closeInsert(); err != nil {
			return err
		}
	}
	before := len(p.buf)
	p.buf = slices.Grow(p.buf, estimate(r))
	if p.open == nil {
		p.openInsert(t, tail)
	} else {
		p.buf = append(p.buf, ',')
	}
	p.buf = t.appendRow(p.buf, r)
	if len(p.buf)-p.start+len(tail) > p.statement && before > p.start {
		if err := p.moveRow(t, tail, before, r); err != nil {
			return err
		}
	}
	if size := len(p.buf) - p.start + len(tail) + 1; size > p.limit {
		return fault.New(fault.ApplyPacket, "%s: a statement of %d bytes, the target takes %d", t.describe(r), size, p.limit)
	}
	return nil
}

// moveRow takes the row that made the INSERT too long into an INSERT of its own. It is written a
// second time rather than kept: it may be the one that is as large as a packet.
func (p *packer) moveRow(t *tableSQL, tail string, before int, r row.Row) error {
	p.buf = p.buf[:before]
	if err := p.closeInsert(); err != nil {
		return err
	}
	p.openInsert(t, tail)
	p.buf = t.appendRow(p.buf, r)
	return nil
}

// estimate is about how long a row's literals are. Growing the buffer at once for a large row
// leaves none of the smaller buffers behind.
func estimate(r row.Row) (n int) {
	for _, v := range r {
		n += len(v) + len(v)/16 + 4
	}
	return n
}

func (p *packer) openInsert(t *tableSQL, tail string) {
	p.open, p.tail = t, tail
	p.buf = append(p.buf, t.insert...)
}

func (p *packer) closeInsert() error {
	if p.open == nil {
		return nil
	}
	p.buf = append(p.buf, p.tail...)
	p.open = nil
	return p.end()
}
