package cutover

import (
	"strings"
	"testing"
	"time"

	"changeover/cutover/helm"
	"changeover/internal/config"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// A server has become the writer of one migration, and is taken for the target of another. That one streams, and is
// never cut over: its target can't be kept from being written to without stopping the first one's application. The
// first goes back and there again all the same, by locking its accounts.
func TestASecondMigrationDoesNotFenceSomebodysWriter(t *testing.T) {
	one := newSchool(t, sandbox.MySQL)
	c := one.open()
	c.ready()
	leave := one.students(one.application(c, "one"), 4, 5*time.Millisecond)
	one.goesOn(c, helm.Source)
	c.make(Cutover, Committed)
	one.goesOn(c, helm.Target)

	two := schoolOn(t, sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, sandboxtest.Options("--event-scheduler=ON")), one.dst)
	root := one.dst.DB(t, sandbox.Root)
	count := func(what string, args ...any) (n int) {
		t.Helper()
		if err := root.QueryRow("SELECT COUNT(*) FROM "+what, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// untouched sees that nothing of the second migration keeps anybody from writing.
	untouched := func() {
		t.Helper()
		one.goesOn(c, helm.Target)
		if n := count("_changeover.fence WHERE migration = ? AND state <> 'none'", two.name); n > 0 {
			t.Error("the second migration has a fence there")
		}
		if n := count("mysql.user WHERE User = 'app' AND account_locked = 'Y'"); n > 0 {
			t.Error("the application's account is locked there")
		}
		if err := two.plainWriteOn(two.src); err != nil {
			t.Errorf("the second migration's source: %v", err)
		}
	}
	refused := func(c *office, r Request, because ...string) {
		t.Helper()
		r.Wait = 5 * time.Second
		record, err := c.Attempt(t.Context(), r)
		if err != nil || record.Outcome != Refused {
			t.Errorf("%s: %v, %+v", r.Kind, err, record)
			return
		}
		for _, why := range because {
			if !strings.Contains(strings.Join(record.Reasons, "; "), why) {
				t.Errorf("%s is refused because of %v; it should be because of %q", r.Kind, record.Reasons, why)
			}
		}
	}
	for _, want := range []config.Fence{config.FenceReadOnly, config.FenceAuto} {
		t.Run(string(want), func(t *testing.T) {
			one.in(t)
			two.in(t)
			d := two.open(func(o *Options) { o.Fence = want })
			d.ready()
			away := two.students(two.application(d, "two"), 2, 10*time.Millisecond)
			two.heard(d, "two")
			for _, kind := range []Kind{Rehearse, Cutover} {
				refused(d, Request{Kind: kind}, "CO-2023", "the server is the writer of "+one.name)
				if w := d.Status().Writer; w != helm.Source {
					t.Errorf("the second migration's writer is the %s", w)
				}
			}
			untouched()
			away()
			two.equal()
		})
	}

	// The first one's way back: the server that gives the role away has another's databases.
	t.Run("the first goes back", func(t *testing.T) {
		one.in(t)
		two.in(t)
		d := two.open()
		d.ready()
		away := two.students(two.application(d, "two"), 2, 10*time.Millisecond)
		for _, kind := range []Kind{Rollback, Cutover} {
			c.ready()
			_, writer := forward(c)
			c.make(kind, Committed)
			before := one.acknowledged()
			one.within(10*time.Second, "students write again", func() error {
				if one.acknowledged() < before+50 {
					return errNotYet
				}
				return one.plainWriteOn(one.on(writer))
			})
			if err := one.plainWriteOn(one.on(writer.Other())); err == nil {
				t.Errorf("after the %s the %s takes writes too", kind, writer.Other())
			}
			if locked := count("mysql.user WHERE User = 'app' AND account_locked = 'Y'"); (locked == 1) != (writer == helm.Source) {
				t.Errorf("after the %s %d of the application's accounts are locked on the target", kind, locked)
			}
		}
		untouched()
		away()
		two.audit(two.src)
		two.equal()
	})
	// By the whole server it does not go back, since that would stop the other.
	c.close()
	c = one.open(func(o *Options) { o.Fence = config.FenceReadOnly })
	c.ready()
	refused(c, Request{Kind: Rollback}, "CO-2011", two.name)
	untouched()
	leave()
	one.audit(one.dst)
	one.equal()
}
