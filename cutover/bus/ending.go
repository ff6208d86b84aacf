package bus

import (
	"context"
	"time"

	"changeover/cutover/gate"
)

// repeats is how long the end of a hold is said again. Who has not heard it by then knows it from
// the route rows.
const repeats = 10 * time.Second

// Release ends the hold: gates write on where they did. It returns when that was said once, and
// says it again in the background to those that do not confirm it. epoch is the route's.
func (h *Holding) Release(ctx context.Context, epoch uint64) {
	h.end(ctx, gate.Order{Kind: gate.Release, Epoch: epoch}, h.released)
}

// Flip ends the hold at the new writer: "source" or "target". epoch is the new one. It returns and
// repeats as Release does.
func (h *Holding) Flip(ctx context.Context, epoch uint64, writer string) {
	h.end(ctx, gate.Order{Kind: gate.Flip, Epoch: epoch, Writer: writer}, h.flipped)
}

func (h *Holding) end(ctx context.Context, o gate.Order, there func(*held) bool) {
	o.Attempt = h.request.Attempt
	h.renewal()
	telling, retell := context.WithTimeout(h.desk.ctx, repeats)
	h.desk.mu.Lock()
	h.retell()
	h.final, h.retell = &o, retell
	over := h.desk.holding != h // another hold has begun: this one's end is no news
	h.desk.mu.Unlock()
	if over {
		retell()
		return
	}
	h.desk.order(o)
	flushing, cancel := context.WithTimeout(ctx, h.request.Every)
	defer cancel()
	_ = h.desk.conn.FlushWithContext(flushing) // so that a process that ends now has said it once
	h.desk.over.Go(func() { defer retell(); h.repeat(telling, o, there) })
}

// repeat says o again to those that are not there yet, less and less often.
func (h *Holding) repeat(ctx context.Context, o gate.Order, there func(*held) bool) {
	pause := 20*time.Millisecond + time.Duration(len(h.Answers()))*50*time.Microsecond // a thousand answers take their time
	for ; ; pause = min(2*pause, time.Second) {
		again, cancel := context.WithTimeout(ctx, pause)
		err := h.wait(again, there)
		cancel()
		if err == nil || ctx.Err() != nil || !isDeadline(err) {
			return
		}
		h.desk.tell(o, h.names(func(g *held) bool { return !there(g) }))
	}
}
