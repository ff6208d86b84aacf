package cdc

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// A run that goes back is killed again and again under load; in the end both sides are equal, and so
// they are after the way there again. The watchmen on both sides, who see all that the streams wrote, see
// nothing that is not Changeover's.
func TestAReturnThatIsKilledAgainAndAgainEndsEqual(t *testing.T) {
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			const n = 1000
			m := newMigration(t, src, target, crashSchema(n)...)
			x := m.start(Forever, nil, nil)
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
			rng := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano())))
			for turn := range 2 {
				back := m.turned()
				p := back.prepare(nil)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				drained, err := x.CatchUp(ctx)
				cancel()
				m.must(err)
				_, err = p.Arm(t.Context())
				m.must(err)
				x.mustStop()
				m.must(p.Close())
				watchman := m.watch(drained)

				m, m.seed = back, uint64(turn)
				stop := m.load(2, paced(t, 150, counted(n, adverse(n))))
				o := m.crashOptions(Forever)
				o.Return = true
				for range 8 {
					p := m.spawn(o)
					if p.saw(30*time.Second, childStage+" "+stageStream) == "" {
						t.Fatalf("the run ended by itself:\n%s", p.output())
					}
					select {
					case <-time.After(time.Duration(rng.Int64N(int64(400 * time.Millisecond)))):
					case <-p.ended:
						t.Fatalf("the run ended by itself:\n%s", p.output())
					}
					p.kill()
				}
				stop()
				x = m.start(Forever, func(o *Options) { o.Return, o.LeaseTTL = true, time.Millisecond }, nil)
				x.catchUp()
				m.equal()
				if strays := watchman.sees(m.dst.DB(t, sandbox.Root)); len(strays) > 0 {
					t.Errorf("%d strays, the first: %+v", len(strays), strays[0])
				}
			}
			x.mustStop()
		})
	}
}
