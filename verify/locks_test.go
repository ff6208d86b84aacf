package verify

import (
	"runtime"
	"testing"
	"time"
)

// Whoever opens a part asks, with the ledger's lock, whether its table rests, which is under the verifier's.
// So nobody may wait for the ledger with the verifier's lock: both stood still for ever, and the stream with them.
func TestNobodyWaitsForTheLedgerWithTheVerifiersLock(t *testing.T) {
	v := New(Config{})
	l := v.book()
	l.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.cool(l)
	}()
	for deadline := time.Now().Add(100 * time.Millisecond); time.Now().Before(deadline); runtime.Gosched() {
		if !v.mu.TryLock() {
			l.mu.Unlock()
			t.Fatal("it waits for the ledger and has the verifier's lock")
		}
		v.mu.Unlock()
	}
	l.mu.Unlock()
	<-done
}
