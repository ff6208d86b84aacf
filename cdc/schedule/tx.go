package schedule

import (
	"bytes"

	"changeover/cdc/row"
)

// Tx is one source transaction on its way into the target.
type Tx struct {
	Seq     uint64       // its place in the stream: grows by one with every transaction
	ID      string       // its name for good, as in `_changeover.applied`
	Changes []row.Change // what is to be applied, in order
	Bytes   int64        // about what it holds in memory
	Mark    uint64       // the watermark that it carries, or 0
	// Note travels with the transaction, untouched: what the caller needs once it is applied.
	Note any
}

// Batch is what one worker applies in one target transaction: whole source transactions, in an
// order that keeps every key's.
type Batch struct {
	Worker  int
	Txs     []*Tx
	Changes int
	nodes   []*node
}

// node is a transaction, or a chunk's write, in the graph of who waits for whom.
type node struct {
	tx     *Tx
	keys   []row.ConflictKey
	done   bool
	worker int // -1 until a worker has it

	waits     int    // nodes before it that are not done
	loose     int    // of those, the ones that no worker has
	on        []load // of those, how many each worker has
	followers []*node
}

type load struct{ worker, nodes int }

// after makes n wait for d.
func (n *node) after(d *node) {
	if d == nil || d == n || d.done {
		return
	}
	if l := len(d.followers); l > 0 && d.followers[l-1] == n {
		return
	}
	d.followers = append(d.followers, n)
	n.waits++
	if d.worker < 0 {
		n.loose++
	} else {
		n.count(d.worker, +1)
	}
}

func (n *node) count(worker, by int) {
	for i := range n.on {
		if n.on[i].worker == worker {
			n.on[i].nodes += by
			return
		}
	}
	n.on = append(n.on, load{worker, by})
}

// behind returns the one worker that has everything n waits for; ok is false if there are several
// or none, or something that n waits for has no worker yet.
func (n *node) behind() (worker int, ok bool) {
	if n.loose > 0 {
		return 0, false
	}
	worker = -1
	for _, l := range n.on {
		if l.nodes == 0 {
			continue
		}
		if worker >= 0 {
			return 0, false
		}
		worker = l.worker
	}
	return worker, worker >= 0
}

// SplitKeys turns each update that changes its row's key into a delete and an insert, so that each
// change lies in one place of its table. Without it a row that moves from a part of the table that
// is copied to one that is not would be applied, or dropped, as a whole.
func SplitKeys(changes []row.Change) []row.Change {
	moved := 0
	for i := range changes {
		if keyMoves(&changes[i]) {
			moved++
		}
	}
	if moved == 0 {
		return changes
	}
	out := make([]row.Change, 0, len(changes)+moved)
	for _, c := range changes {
		if keyMoves(&c) {
			out = append(out, row.Change{Table: c.Table, Before: c.Before}, row.Change{Table: c.Table, After: c.After})
			continue
		}
		out = append(out, c)
	}
	return out
}

func keyMoves(c *row.Change) bool {
	if c.Before == nil || c.After == nil || c.Table.RowKey < 0 || c.Cascades {
		return false
	}
	for _, p := range c.Table.Keys[c.Table.RowKey].Parts {
		if !bytes.Equal(c.Before[p.Column], c.After[p.Column]) {
			return true
		}
	}
	return false
}
