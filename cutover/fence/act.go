package fence

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// actLimit is how long a statement of the fence may wait: every write of the server waits behind it.
const actLimit = 150 * time.Millisecond

// hand is a server with what it takes to end a statement of the helm.
type hand struct {
	Server
	id    uint64 // of the helm's session
	limit time.Duration
}

func grip(ctx context.Context, s Server) (*hand, error) {
	h := &hand{Server: s, limit: actLimit}
	if err := s.Helm.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&h.id); err != nil {
		return nil, fmt.Errorf("ask for the helm's session: %w", err)
	}
	return h, nil
}

// act runs a statement on the helm, and ends it with KILL QUERY when the limit is over or ctx ends:
// *Blocked. It never lets ctx end it: the driver would hang up, the helm would be lost, and the statement
// would go on waiting in the server all the same.
func (h *hand) act(ctx context.Context, statement string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The goroutine ends with the statement: either the server answers, or hangUp closes the connection.
	run, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	answer := make(chan error, 1)
	go func() {
		_, err := h.Helm.ExecContext(run, statement)
		answer <- err
	}()
	limit := time.NewTimer(h.limit)
	defer limit.Stop()
	select {
	case err := <-answer:
		return err
	case <-limit.C:
	case <-ctx.Done():
	}
	err := h.interrupt(context.WithoutCancel(ctx), answer, hangUp)
	if err == nil {
		return nil // it came through just before it was to be ended
	}
	if number(err) != erInterrupted {
		return err
	}
	b := &Blocked{Statement: statement, err: err}
	if ctx.Err() != nil {
		b.err = errors.Join(ctx.Err(), err)
	}
	b.By, _ = h.inTheWay(context.WithoutCancel(ctx)) // who it was is good to know, and no more
	h.Log.Warn().Str("statement", statement).Dur("limit", h.limit).Interface("blockers", b.By).Msg("the fence was blocked")
	return b
}

// graceOfKill is how long a server may take to end a statement before the helm's connection is given up.
const graceOfKill = time.Second

// interrupt ends the helm's statement and returns its answer. A KILL may come when the statement has just
// ended; it then does nothing, or hits whatever the helm does next, so it is only sent while no answer is
// there.
func (h *hand) interrupt(ctx context.Context, answer <-chan error, hangUp func()) error {
	ctx, cancel := context.WithTimeout(ctx, graceOfKill)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond) // the statement may not have begun when the first was sent
	defer again.Stop()
	for {
		killed := h.killQuery(ctx)
		select {
		case err := <-answer:
			return errors.Join(err, h.absorb())
		case <-again.C:
		case <-ctx.Done():
			hangUp()
			return errors.Join(fmt.Errorf("the server did not end a statement of the fence; the helm is given up: %w", ctx.Err()), <-answer, killed)
		}
	}
}

func (h *hand) killQuery(ctx context.Context) error {
	_, err := h.Side.ExecContext(ctx, fmt.Sprintf("KILL QUERY %d", h.id))
	if denied(err) || number(err) == erKillDenied {
		_, err = h.Side.ExecContext(ctx, fmt.Sprintf("CALL mysql.rds_kill_query(%d)", h.id))
	}
	return err
}

// absorb takes a KILL that came too late, so that it doesn't end the helm's next statement.
func (h *hand) absorb() error {
	ctx, cancel := context.WithTimeout(context.Background(), graceOfKill)
	defer cancel()
	for {
		var one int
		err := h.Helm.QueryRowContext(ctx, "SELECT 1").Scan(&one)
		if number(err) != erInterrupted {
			return err
		}
	}
}

// inTheWay lists who the fence waited for: statements that began before it did.
func (h *hand) inTheWay(ctx context.Context) ([]Blocker, error) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	all, err := Running(ctx, h.Side, h.limit)
	var stall []Blocker
	for _, b := range all {
		if b.Stalls {
			stall = append(stall, b)
		}
	}
	return stall, err
}
