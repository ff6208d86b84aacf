package ledger

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// maxRecord bounds a record's length: a longer one is damage, not data.
const maxRecord = 1 << 20

// Read reads a ledger, also of a run that was killed or is not over.
func Read(path string) (*Log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	log, err := readFrom(bufio.NewReaderSize(f, 1<<20), info.Size())
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	log.File = path
	return log, nil
}

// readFrom reads size bytes; what is written meanwhile is not looked at.
func readFrom(in io.Reader, size int64) (*Log, error) {
	r := &reader{in: in, size: size, log: &Log{}, byNumber: map[uint64]*Operation{}}
	return r.log, r.read()
}

type reader struct {
	in       io.Reader
	at, size int64
	log      *Log
	byNumber map[uint64]*Operation
}

var errTorn = errors.New("torn")

func (r *reader) read() error {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r.in, head); err != nil || string(head) != magic {
		return errors.New("this is no ledger")
	}
	r.at = int64(len(magic))
	for first := true; r.at < r.size; first = false {
		payload, err := r.next()
		if errors.Is(err, errTorn) {
			r.log.Torn = &Torn{r.at, r.size - r.at}
			return nil
		}
		if err == nil {
			err = r.take(payload, first)
		}
		if err != nil {
			return fmt.Errorf("at byte %d: %w", r.at, err)
		}
		r.at += int64(8 + len(payload))
	}
	return nil
}

// next reads a record. What a crash can leave is a record that the file ends in; anything else that
// doesn't fit is damage.
func (r *reader) next() ([]byte, error) {
	rest := r.size - r.at
	var head [8]byte
	if rest < int64(len(head)) {
		return nil, errTorn
	}
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(head[:]))
	if length == 0 || length > maxRecord {
		return nil, fmt.Errorf("a record of %d bytes", length)
	}
	if 8+length > rest {
		return nil, errTorn
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r.in, payload); err != nil {
		return nil, err
	}
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		if 8+length == rest {
			return nil, errTorn
		}
		return nil, errors.New("a record's checksum is wrong")
	}
	return payload, nil
}

func (r *reader) take(payload []byte, first bool) error {
	kind, body := payload[0], payload[1:]
	if (kind == typeHeader) != first {
		return errors.New("the header is not the first record, or is twice")
	}
	switch kind {
	case typeHeader:
		return json.Unmarshal(body, &r.log.Header)
	case typeIntent:
		seq, intent, err := decodeIntent(body)
		if err != nil {
			return err
		}
		o := &Operation{Intent: intent}
		r.byNumber[seq] = o
		r.log.Operations = append(r.log.Operations, o)
	case typeOutcome:
		seq, outcome, err := decodeOutcome(body)
		if err != nil {
			return err
		}
		o := r.byNumber[seq]
		if o == nil {
			return fmt.Errorf("an outcome of operation %d, which is not in the ledger", seq)
		}
		o.Outcome, o.Settled = outcome, true
		delete(r.byNumber, seq)
	case typeStale:
		s, err := decodeStale(body)
		if err != nil {
			return err
		}
		r.log.Stale = append(r.log.Stale, s)
	case typeEnd:
		r.log.Ended = true
	default:
		return fmt.Errorf("a record of type %q", kind)
	}
	return nil
}
