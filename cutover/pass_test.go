package cutover

import (
	"testing"
	"time"

	"changeover/cutover/helm"
	"changeover/internal/sandbox"
)

// The story of the whole package: the role passes under load, comes back, and passes again, and nobody's
// write fails, is lost or doubled.
func TestTheRolePassesUnderLoadAndComesBack(t *testing.T) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			s := newSchool(t, flavor)
			c := s.open()
			c.ready()
			one, two := s.application(c, "one"), s.application(c, "two")
			leave := []func(){s.students(one, 4, 5*time.Millisecond), s.students(two, 4, 5*time.Millisecond)}
			if r := c.make(Rehearse, Rehearsed); c.Status().Writer != helm.Source || r.HoldMS == 0 {
				t.Errorf("after a rehearsal the writer is %s", c.Status().Writer)
			}
			writer := s.src
			for i, kind := range []Kind{Cutover, Rollback, Cutover} {
				c.ready()
				r := c.make(kind, Committed)
				if writer = s.dst; kind == Rollback {
					writer = s.src
				}
				if !r.Proof.Complete || r.Epoch != uint64(i+2) || len(r.Gates) != 2 {
					t.Errorf("%s: %+v", kind, r)
				}
				before := s.writes.Load()
				s.within(10*time.Second, "students go on", func() error {
					if s.writes.Load() < before+100 {
						return errNotYet
					}
					return nil
				})
			}
			for _, f := range leave {
				f()
			}
			s.audit(writer)
			s.equal()
			if st := c.Status(); st.Strays != 0 || st.Watch != "" {
				t.Errorf("the watchman: %+v", st)
			}
		})
	}
}
