package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"sync/atomic"
)

const magic = "hourofcode ledger 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer appends to a ledger. Its methods may be called by many goroutines.
type Writer struct {
	file *os.File
	seq  atomic.Uint64
	in   chan entry    // bounds what waits for the file
	done chan struct{} // closed when the writing goroutine has ended
	err  error         // set before done is closed

	closing sync.RWMutex // held for reading by whoever sends to in
	closed  bool
}

type entry struct {
	payload []byte
	written chan<- struct{} // nil: nobody waits
}

// ErrClosed is returned when the ledger takes nothing any more: it was closed, or couldn't be written.
var ErrClosed = errors.New("the ledger is closed")

// queued is how many records may wait for the file.
const queued = 4096

// Create makes the file, which must not exist: two runs in one ledger would be read as one.
func Create(path string, h Header) (*Writer, error) {
	head, err := encodeHeader(h)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the ledger: %w", err)
	}
	if _, err := f.Write(frame([]byte(magic), head)); err != nil {
		return nil, errors.Join(fmt.Errorf("write the ledger: %w", err), f.Close())
	}
	w := &Writer{file: f, in: make(chan entry, queued), done: make(chan struct{})}
	go w.run()
	return w, nil
}

// frame appends a payload as a record.
func frame(to, payload []byte) []byte {
	to = binary.LittleEndian.AppendUint32(to, uint32(len(payload)))
	to = binary.LittleEndian.AppendUint32(to, crc32.Checksum(payload, castagnoli))
	return append(to, payload...)
}

// batch is about how many bytes go to the file at once.
const batch = 64 << 10

// run owns the file. What waits is written by one call, so that a burst costs no more than a trickle.
func (w *Writer) run() {
	defer close(w.done)
	var buf []byte
	var waiting []chan<- struct{}
	for e := range w.in {
		buf, waiting = buf[:0], waiting[:0]
		for more := true; more; {
			buf = frame(buf, e.payload)
			if e.written != nil {
				waiting = append(waiting, e.written)
			}
			if len(buf) >= batch {
				break
			}
			select {
			case e, more = <-w.in:
			default:
				more = false
			}
		}
		if w.err == nil {
			_, w.err = w.file.Write(buf)
		}
		if w.err != nil {
			continue // whoever waits learns of it by done; in must not fill up
		}
		for _, c := range waiting {
			c <- struct{}{} // has room for one
		}
	}
	if err := w.file.Close(); w.err == nil {
		w.err = err
	}
}

// Intend writes an operation that is about to be sent, and returns its number when the operating
// system has it: from then on no crash of this process can hide it.
func (w *Writer) Intend(i *Intent) (uint64, error) {
	seq := w.seq.Add(1)
	written := make(chan struct{}, 1)
	if err := w.put(entry{encodeIntent(seq, i), written}); err != nil {
		return 0, err
	}
	select {
	case <-written:
		return seq, nil
	case <-w.done:
		select {
		case <-written: // it was the last of a ledger that is closed
			return seq, nil
		default:
			return 0, errors.Join(ErrClosed, w.err)
		}
	}
}

// Settle writes what became of operation seq.
func (w *Writer) Settle(seq uint64, o *Outcome) error {
	return w.put(entry{payload: encodeOutcome(seq, o)})
}

// Note writes that a read was stale.
func (w *Writer) Note(s *Stale) error { return w.put(entry{payload: encodeStale(s)}) }

func (w *Writer) put(e entry) error {
	w.closing.RLock()
	defer w.closing.RUnlock()
	if w.closed {
		return ErrClosed
	}
	w.in <- e
	return nil
}

// Close writes that the run has ended, and closes the file. It returns what went wrong with any record.
func (w *Writer) Close() error {
	err := w.put(entry{payload: []byte{typeEnd}})
	if err != nil {
		return nil // closed before
	}
	w.closing.Lock()
	w.closed = true
	close(w.in)
	w.closing.Unlock()
	<-w.done
	if w.err != nil {
		return fmt.Errorf("write the ledger: %w", w.err)
	}
	return nil
}
