package source

import (
	"context"
	"sync"
)

// item is what the queue holds: a whole transaction, or, of a large one, its head, then pieces of
// its rows, then its end.
type item struct {
	tx    *Tx
	rows  []Rows
	end   error // of the end: io.EOF or ErrInterrupted
	id    string
	bytes int64
}

// queue is a FIFO from one goroutine to another, bounded by bytes: put waits while there is no
// room, take while there is nothing. One item is let in whatever its size, or it would wait for
// ever. After close, what is queued can still be taken, then take returns close's error.
type queue struct {
	limit int64

	mu     sync.Mutex
	items  []item
	bytes  int64
	closed error
	filled chan struct{} // has room for one: something was put, or the queue closed
	freed  chan struct{} // has room for one: something was taken
}

func newQueue(limit int64) *queue {
	return &queue{limit: limit, filled: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *queue) put(ctx context.Context, it item) error {
	for !q.tryPut(it) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-q.freed:
		}
	}
	signal(q.filled)
	return nil
}

func (q *queue) tryPut(it item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes > 0 && q.bytes+it.bytes > q.limit {
		return false
	}
	q.items = append(q.items, it)
	q.bytes += it.bytes
	return true
}

func (q *queue) take(ctx context.Context) (item, error) {
	for {
		it, ok, err := q.tryTake()
		if ok {
			signal(q.freed)
			return it, nil
		}
		if err != nil {
			return item{}, err
		}
		select {
		case <-ctx.Done():
			return item{}, context.Cause(ctx)
		case <-q.filled:
		}
	}
}

func (q *queue) tryTake() (it item, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		if q.closed != nil {
			signal(q.filled) // for whoever asks next
		}
		return item{}, false, q.closed
	}
	it = q.items[0]
	q.items[0] = item{} // the slice must not keep it alive
	q.items = q.items[1:]
	q.bytes -= it.bytes
	return it, true, nil
}

func (q *queue) close(err error) {
	q.mu.Lock()
	q.closed = err
	q.mu.Unlock()
	signal(q.filled)
}

// held is how many bytes wait.
func (q *queue) held() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}
