package snapshot

import (
	"context"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// ReadWhere reads the rows for which a condition holds, as they are now, into a chunk that a Loader
// takes. They are all held in memory. The comment stands in the source's process list.
func ReadWhere(ctx context.Context, e server.Endpoint, t *row.Table, where, why string) (Chunk, error) {
	w, err := dialWire(ctx, e)
	if err != nil {
		return Chunk{}, err
	}
	defer w.close()
	l := newLayout(t)
	q := append([]byte("SELECT /* changeover "+comment(why)+" */ "), l.list...)
	q = append(q, " FROM "+server.Name(t.Schema, t.Name)+" WHERE "+where...)
	if err := w.query(q); err != nil {
		return Chunk{}, err
	}
	got := &rows{}
	encode := encoder{layout: &l}
	for {
		p, err := w.next()
		if err != nil {
			return Chunk{}, err
		}
		if p == nil {
			return Chunk{Table: t, Rows: got.count(), Bytes: got.bytes(), rows: got}, nil
		}
		if err := encode.add(got, p); err != nil {
			return Chunk{}, unreadable{err}
		}
	}
}

// Except is the chunk without the rows whose keys, in their exact form, skip names.
func (c Chunk) Except(skip func(key []byte) bool) Chunk {
	c.skip = skip
	return c
}
