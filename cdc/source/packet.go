package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// packets reads the packets of MySQL's protocol, one after another, as streams.
//
// go-mysql reads a packet whole before it hands it on. A compressed transaction is one packet of up
// to 1 GiB, so memory would be bounded by the source's max_allowed_packet instead of by us.
type packets struct {
	r        *bufio.Reader
	sequence byte
	left     int  // bytes of the current frame that are not read yet
	more     bool // the frame was full, so the packet goes on in the next one
}

// maxFrame is the size of a frame that says: there is another.
const maxFrame = 1<<24 - 1

var errUnread = errors.New("packet: the one before has not been read to its end")

// next begins the next packet; the one before must have been read to its end.
func (p *packets) next() error {
	if p.left == 0 && p.more { // its length was a multiple of maxFrame: an empty frame ends it
		if err := p.frame(); err != nil {
			return err
		}
	}
	if p.left > 0 {
		return errUnread
	}
	return p.frame()
}

func (p *packets) frame() error {
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return err
	}
	if head[3] != p.sequence {
		return fmt.Errorf("packet out of order: number %d instead of %d", head[3], p.sequence)
	}
	p.sequence++
	p.left = int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	p.more = p.left == maxFrame
	return nil
}

// Read reads from the current packet; io.EOF is its end.
func (p *packets) Read(b []byte) (int, error) {
	for p.left == 0 {
		if !p.more {
			return 0, io.EOF
		}
		if err := p.frame(); err != nil {
			return 0, noEOF(err)
		}
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, noEOF(err)
}

// noEOF keeps the end of the connection apart from the end of a packet.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
