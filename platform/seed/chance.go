package seed

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// chance is a generator of a school's own: the same seed and stream are the same school.
type chance struct{ *rand.Rand }

func newChance(seed, stream uint64) chance { return chance{rand.New(rand.NewPCG(seed, stream))} }

// id is a UUIDv7 of a moment, as browsers make operation ids.
func (c chance) id(ms int64) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], uint64(ms)<<16|uint64(c.Uint32()&0xffff))
	binary.BigEndian.PutUint64(id[8:], c.Uint64())
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// bytes are n ones of chance, where a digest would be that nobody will ask for.
func (c chance) bytes(n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.BigEndian.AppendUint64(b, c.Uint64())
	}
	return b[:n]
}

// of tells whether something happens that has this probability.
func (c chance) of(probability float64) bool { return c.Float64() < probability }

// thinking is how long somebody thinks between two runs, in milliseconds: log-normal with a median of
// 25 s, as children do.
func (c chance) thinking() int64 {
	return int64(min(25_000*math.Exp(c.NormFloat64()*0.6), 20*60_000))
}

func pick[T any](c chance, from []T) T { return from[c.IntN(len(from))] }

// often picks early ones more often: half of the picks are of the first eighth.
func often[T any](c chance, from []T) T {
	u := c.Float64()
	return from[int(u*u*u*float64(len(from)))]
}
