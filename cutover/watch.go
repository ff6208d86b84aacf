package cutover

import (
	"context"

	"changeover/cdc"
	"changeover/cutover/helm"
)

// strays are what the watchman has seen on the old writer.
type strays struct {
	count int
	first []cdc.Stray // the first of them
	blind string      // why nobody watches
}

// straysKept is how many strays are shown with their rows.
const straysKept = 20

// watch is the watchman: it reads the old writer's binlog behind the last position that the forward
// stream had to pass, until ctx ends. What is there that Changeover did not write is a stray.
func (t *term) watch(ctx context.Context, old *helm.Helm) {
	from, err := old.FencedPosition(ctx)
	if err != nil || from == "" {
		t.blind(ctx, "the old writer's last position is not on record")
		return
	}
	o := t.c.opts.Stream
	err = cdc.Watch(ctx, cdc.WatchOptions{Migration: o.Migration, Endpoint: t.c.endpoint(old.Side()), From: from, Databases: o.Databases, InScope: o.InScope,
		Log: t.log, Stray: t.stray})
	if err != nil && ctx.Err() == nil {
		t.log.Error().Err(err).Msg("nobody watches the old writer any more")
		t.blind(ctx, err.Error())
	}
}

func (t *term) blind(ctx context.Context, why string) {
	if ctx.Err() != nil {
		return
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.c.strays.blind = why
}

// stray keeps what the watchman has seen, for the status; he has logged it.
func (t *term) stray(s cdc.Stray) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.c.strays.count++
	if len(t.c.strays.first) < straysKept {
		t.c.strays.first = append(t.c.strays.first, s)
	}
}
