package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/platformtest"
	"changeover/platform/store"
)

// BenchmarkRun is clicks on Run of 32 students at once, on a server that syncs every commit.
func BenchmarkRun(b *testing.B) {
	p := platformtest.New(b, sandboxtest.Fresh(b, sandbox.Spec{Role: sandbox.Source}, sandboxtest.Durable))
	var users []store.User
	for range 32 {
		u, _ := somebody(b, p)
		users = append(users, u)
	}
	var n atomic.Int64
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		user := users[n.Add(1)%int64(len(users))]
		for i := 0; pb.Next(); i++ {
			if _, _, err := p.Store.Run(b.Context(), platformtest.Op("run"), user, aRun(fmt.Sprint("program ", i%50))); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}
