package schedule

import (
	"context"
	"sync"

	"changeover/cdc/row"
)

// Flow is a Scheduler for many goroutines: the feeder submits, workers take and commit, copiers
// pass chunks through. Each call waits for what it needs, until its context ends.
type Flow struct {
	mu      sync.Mutex
	s       *Scheduler
	memory  int64
	wake    []chan struct{} // one for each worker, holding at most one wake-up
	changed chan struct{}   // closed when something that others wait for may have come true
}

// NewFlow wraps s. Submit waits while the transactions under way hold more than memory bytes.
func NewFlow(s *Scheduler, memory int64) *Flow {
	f := &Flow{s: s, memory: memory, changed: make(chan struct{})}
	for range s.queues {
		f.wake = append(f.wake, make(chan struct{}, 1))
	}
	return f
}

// With runs fn on the scheduler, alone.
func (f *Flow) With(fn func(*Scheduler)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn(f.s)
	f.announce()
}

// announce wakes workers that have something to do, and all who wait for a change.
func (f *Flow) announce() {
	for i := range f.s.queues {
		if q := &f.s.queues[i]; q.inFlight == nil && len(q.nodes) > 0 {
			select {
			case f.wake[i] <- struct{}{}:
			default:
			}
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// Complete tells whether all of a table has been copied.
func (f *Flow) Complete(name Name) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.s.Complete(name)
}

// Until waits until fn is true of the scheduler, or ctx ends. fn may act, if it then says true.
func (f *Flow) Until(ctx context.Context, fn func(*Scheduler) bool) error {
	return f.until(ctx, func() bool { return fn(f.s) })
}

// until waits until fn, called with the scheduler's lock held, is true or ctx ends.
func (f *Flow) until(ctx context.Context, fn func() bool) error {
	for {
		f.mu.Lock()
		if fn() {
			f.announce()
			f.mu.Unlock()
			return nil
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Submit hands over the next transaction; it waits while too much memory is held.
func (f *Flow) Submit(ctx context.Context, tx *Tx) error {
	return f.until(ctx, func() bool {
		if f.s.held > 0 && f.s.held+tx.Bytes > f.memory {
			return false
		}
		f.s.Submit(tx)
		return true
	})
}

// Take waits for a worker's next batch.
func (f *Flow) Take(ctx context.Context, worker int) (*Batch, error) {
	for {
		f.mu.Lock()
		b := f.s.Take(worker)
		f.mu.Unlock()
		if b != nil {
			return b, nil
		}
		select {
		case <-f.wake[worker]:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Committed says that a batch is committed on the target.
func (f *Flow) Committed(b *Batch) {
	f.With(func(s *Scheduler) { s.Committed(b) })
}

// WaitApplied waits until the applied position has reached seq.
func (f *Flow) WaitApplied(ctx context.Context, seq uint64) error {
	return f.until(ctx, func() bool { return f.s.applied >= seq })
}

// WaitMark waits until the applied position has passed watermark n.
func (f *Flow) WaitMark(ctx context.Context, n uint64) error {
	return f.until(ctx, func() bool { return f.s.mark >= n })
}

// WaitOpen waits until chunks may be registered.
func (f *Flow) WaitOpen(ctx context.Context) error {
	return f.until(ctx, func() bool { return f.s.closed == nil })
}

// Dispatch waits until a chunk may be written; ErrGivenUp means that it may not any more.
func (f *Flow) Dispatch(ctx context.Context, c *Chunk, high uint64) error {
	var err error
	waited := f.until(ctx, func() bool {
		var ok bool
		ok, err = f.s.Dispatch(c, high)
		return ok || err != nil
	})
	if waited != nil {
		return waited
	}
	return err
}

// TakeEmptiable waits for a given-up chunk whose range may be emptied.
func (f *Flow) TakeEmptiable(ctx context.Context) (*Chunk, error) {
	var c *Chunk
	err := f.until(ctx, func() bool {
		c = f.s.TakeEmptiable()
		return c != nil
	})
	return c, err
}

// Drain closes the scheduler, gives up the chunks that are registered on the tables for which of
// is true, and waits until nothing is under way. The caller opens it again.
func (f *Flow) Drain(ctx context.Context, of func(Name) bool) error {
	f.With(func(s *Scheduler) { s.Close(of) })
	return f.until(ctx, func() bool { return f.s.Idle() })
}

// Open ends Drain.
func (f *Flow) Open() { f.With(func(s *Scheduler) { s.Open() }) }

// Copied keeps, of a transaction that is applied alone, the changes in ranges that are done.
func (f *Flow) Copied(changes []row.Change) (kept []row.Change) {
	f.With(func(s *Scheduler) { kept = s.Copied(changes) })
	return kept
}
