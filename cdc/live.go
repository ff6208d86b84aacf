package cdc

import (
	"context"
	"errors"
)

// going is one start of the stream, for those who ask a Runner from outside.
type going struct {
	stream *Stream
	ended  chan struct{} // closed when this start is over
}

// goesLive says that the stream runs; the caller says when it has ended.
func (r *Runner) goesLive(s *Stream) (ended func()) {
	l := &going{s, make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live = l
	close(r.started)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.live, r.started = nil, make(chan struct{})
		close(l.ended)
	}
}

// Stream is the stream as it runs now; false while it does not. Of one that has ended, and of one that
// started over, the calls fail or wait until their context ends: ask for it again.
func (r *Runner) Stream() (*Stream, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live == nil {
		return nil, false
	}
	return r.live.stream, true
}

// CatchUp waits until everything that is committed on the source by now is committed on the target, and
// returns the applied position, which may be later. If the stream starts over meanwhile, or has not
// started yet, it waits for that too, until ctx ends.
func (r *Runner) CatchUp(ctx context.Context) (position string, err error) {
	for {
		r.mu.Lock()
		l, started := r.live, r.started
		r.mu.Unlock()
		if l == nil {
			select {
			case <-started:
				continue
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		position, err = l.catchUp(ctx)
		if !errors.Is(err, errEnded) {
			return position, err
		}
	}
}

func (l *going) catchUp(outer context.Context) (string, error) {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	go func() {
		select {
		case <-l.ended:
			cancel(errEnded)
		case <-ctx.Done():
		}
	}()
	n, err := l.stream.Mark(ctx)
	if err == nil {
		err = l.stream.WaitApplied(ctx, n)
	}
	switch {
	case err == nil:
		return l.stream.Position().Text, nil
	case outer.Err() == nil && errors.Is(context.Cause(ctx), errEnded):
		return "", errEnded
	}
	return "", err
}
