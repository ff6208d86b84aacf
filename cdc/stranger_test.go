package cdc

import (
	"context"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox/sandboxtest"
)

// With several writers: the one that fails leaves a chunk for which the stream waits, and the others
// wait for the stream. The run must end all the same, and say why.
func TestARowThatIsNotOursOnTheTargetEndsTheCopyWithItsFault(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), hostile(3000)...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := New(m.options(Copied))
	r.Pause()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	eventually(t, "the copy may begin", func() bool { return r.Status().Stream.Connected })
	if _, err := m.to.Exec("INSERT INTO " + m.name + ".a VALUES (-1000000, 2000, 'a stranger')"); err != nil {
		t.Fatal(err)
	}
	r.Resume()
	select {
	case err := <-ended:
		if !fault.Is(err, fault.SnapshotLoad) {
			t.Fatalf("ended with %v", err)
		}
	case <-ctx.Done():
		t.Fatal("the run hangs")
	}
}
