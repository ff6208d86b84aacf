package cutover

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// said is a statement of a server's general log.
type said struct {
	at   string // seconds since 1970, to the microsecond
	text string
}

// listen has a server write down what it is told; heard is all of it, in order, and ends that.
func listen(t *testing.T, on *sandboxtest.Server) (heard func() []said) {
	t.Helper()
	on.Exec(t, "SET GLOBAL log_output = 'TABLE'", "TRUNCATE TABLE mysql.general_log", "SET GLOBAL general_log = ON")
	return func() (all []said) {
		t.Helper()
		on.Exec(t, "SET GLOBAL general_log = OFF")
		rows, err := on.DB(t, sandbox.Root).Query("SELECT UNIX_TIMESTAMP(event_time), CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s said
			if err := rows.Scan(&s.at, &s.text); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
}

// when is the moment of the first statement that has all of some words.
func when(t *testing.T, all []said, words ...string) string {
	t.Helper()
next:
	for _, s := range all {
		for _, w := range words {
			if !strings.Contains(s.text, w) {
				continue next
			}
		}
		return s.at
	}
	t.Fatalf("nobody said %q, in %d statements", words, len(all))
	return ""
}

// overheard is what both servers are told in a cutover that commits. A busy machine may take longer than an attempt may
// hold; then it is made again.
func (c *office) overheard(t *testing.T) (onOld, onNew []said) {
	t.Helper()
	for range 5 {
		old, new := listen(t, c.s.src), listen(t, c.s.dst)
		r, err := c.Attempt(t.Context(), Request{Kind: Cutover, Wait: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if onOld, onNew = old(), new(); r.Outcome == Committed {
			return onOld, onNew
		}
		t.Logf("the cutover is %s: %v", r.Outcome, r.Reasons)
	}
	t.Fatal("no cutover commits")
	return nil, nil
}

// A server that does not write each commit to its disk is made to, where others rely on one: what the stream brought
// to the new writer before the register says commit, and that commit before the new writer may be one. After a crash of
// the old writer its register would say open again, and both would take writes.
func TestARelaxedServerWritesToItsDiskWhatOthersRelyOn(t *testing.T) {
	for _, flush := range []int{2, 0, 1} {
		t.Run(fmt.Sprintf("innodb_flush_log_at_trx_commit=%d", flush), func(t *testing.T) {
			s := newSchool(t, sandbox.MySQL)
			for _, on := range []*sandboxtest.Server{s.src, s.dst} {
				on.Exec(t, fmt.Sprintf("SET GLOBAL innodb_flush_log_at_trx_commit = %d", flush))
			}
			c := s.open()
			c.ready()
			onOld, onNew := c.overheard(t)
			const flushed = "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS"
			if flush == 1 {
				for _, s := range append(onOld, onNew...) {
					if strings.Contains(s.text, flushed) {
						t.Error("a server that does so by itself is told to write to its disk")
					}
				}
				return
			}
			commit, route := when(t, onOld, "`_changeover`.`register`", "'commit'"), when(t, onNew, "`_changeover`.`route`", "'target', 'target'")
			if at := when(t, onNew, flushed); at >= commit {
				t.Errorf("what the new writer has is told to go to its disk at %s, the commit was at %s", at, commit)
			}
			if at := when(t, onOld, flushed); at <= commit || at >= route {
				t.Errorf("the commit of %s is told to go to the disk at %s; the new writer became one at %s", commit, at, route)
			}
		})
	}
}
