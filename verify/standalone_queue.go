package verify

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"changeover/cdc/row"
)

// batch is rows of one table, near each other, that differed when they were last looked at; or a whole
// table whose rows have no names.
type batch struct {
	scan  *scan
	part  *row.Range          // reading it is cheaper than naming the rows; nil: it is not
	rows  map[string]sighting // by their exact keys, as they were last seen
	moved map[string]bool     // those that were seen in more than one state

	whole          bool
	source, target Digest // of a whole table

	first time.Time // when they were first seen
	looks int       // since then
	due   time.Time
}

// looks are when a batch is looked at again, in parts of the time for which a row must stay different. Most
// of what differs because the other side is a little behind is gone at the first.
var looks = []float64{0.2, 0.5, 1}

// size is how many rows it holds; a whole table counts as one.
func (b *batch) size() int {
	if b.whole {
		return 1
	}
	return len(b.rows)
}

// last tells whether the batch has had its last look.
func (b *batch) last() bool { return b.looks >= len(looks) }

// queue has the batches in the order in which they are due, and what is left to be read of parts that
// differ, which waits until there is room for what it finds. Safe for concurrent use.
type queue struct {
	mu      sync.Mutex
	batches batchHeap
	unread  []rest
	held    int           // rows in them
	most    int           // rows in them at which there is no room for more
	busy    int           // workers that may put more
	changed chan struct{} // closed, and replaced, by whatever may end a wait
}

// rest is a part of a table in which rows differ that were not read yet.
type rest struct {
	scan *scan
	read func(context.Context, lane) error
}

func newQueue(most int) *queue { return &queue{most: most, changed: make(chan struct{})} }

// put adds a batch; within is the time for which its rows must stay different. One without rows is dropped.
func (q *queue) put(b *batch, within time.Duration) {
	if !b.whole && len(b.rows) == 0 {
		return
	}
	if b.first.IsZero() {
		b.first = time.Now()
	}
	part := 1.0
	if !b.whole {
		part = looks[b.looks]
	}
	b.due = b.first.Add(time.Duration(float64(within) * part))
	q.mu.Lock()
	defer q.mu.Unlock()
	heap.Push(&q.batches, b)
	q.held += b.size()
	q.tell()
}

// later adds what is left to be read.
func (q *queue) later(r rest) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unread = append(q.unread, r)
	q.tell()
}

// task is what a worker is to do: look at a batch again, read a rest, or if there is neither, find
// something new.
type task struct {
	again *batch
	rest  *rest
}

// take waits for something to do; more tells that the caller knows where to find something new. All is
// done if ok is false. Whoever got something to do calls done when it has.
func (q *queue) take(ctx context.Context, more bool) (t task, ok bool, err error) {
	for {
		t, ok, next := q.look(more)
		if ok || next == nil {
			return t, ok, ctx.Err()
		}
		var timer <-chan time.Time
		if !next.due.IsZero() {
			timer = time.After(time.Until(next.due))
		}
		select {
		case <-timer:
		case <-next.changed:
		case <-ctx.Done():
			return task{}, false, ctx.Err()
		}
	}
}

// moment is when to look at the queue again: at a time, if there is one, or when it changes.
type moment struct {
	due     time.Time
	changed <-chan struct{}
}

// look returns what there is to do; or when to look again; or neither: all is done.
func (q *queue) look(more bool) (t task, ok bool, again *moment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(q.batches) > 0 && !q.batches[0].due.After(time.Now()):
		t.again = heap.Pop(&q.batches).(*batch)
		q.held -= t.again.size()
	case len(q.unread) > 0 && q.held < q.most:
		last := len(q.unread) - 1
		t.rest, q.unread = &rest{q.unread[last].scan, q.unread[last].read}, q.unread[:last]
	case more && q.held < q.most:
	case len(q.batches) > 0:
		return t, false, &moment{q.batches[0].due, q.changed}
	case q.busy > 0:
		return t, false, &moment{changed: q.changed}
	default:
		return t, false, nil
	}
	q.busy++
	return t, true, nil
}

func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
	q.tell()
}

func (q *queue) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// rows is how many rows wait.
func (q *queue) rows() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held
}

// batchHeap has the batch that is due first at its top (container/heap).
type batchHeap []*batch

func (h batchHeap) Len() int           { return len(h) }
func (h batchHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h batchHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is heap.Push's.
func (h *batchHeap) Push(b any) { *h = append(*h, b.(*batch)) }

// Pop is heap.Pop's.
func (h *batchHeap) Pop() any {
	last := len(*h) - 1
	b := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return b
}
