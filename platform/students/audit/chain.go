package audit

import (
	"fmt"

	"github.com/google/uuid"

	"changeover/platform/students/ledger"
)

var noOp uuid.UUID

// chain is what was done to one object by the one client that owns it: created, saved, saved again. Each
// link names the version that it replaces, so the last one that was carried out says all.
type chain struct {
	links   []*operation // that may have been carried out, as they were sent
	deletes *operation   // nil: it wasn't
}

// version is an object's row.
type version struct {
	op, last op // op is zero where the table keeps only the last one's
	number   int64
	digest   ledger.Digest
}

// chains sorts operations by the object that they are on.
func (a *auditor) chains(object func(*operation) string, delete ledger.Kind, kinds ...ledger.Kind) map[string]*chain {
	all := map[string]*chain{}
	for _, op := range a.ofKinds(append(kinds, delete)...) {
		if !op.mayBe() {
			continue
		}
		key := object(op)
		if all[key] == nil {
			all[key] = &chain{}
		}
		if op.Kind == delete {
			all[key].deletes = op
			continue
		}
		all[key].links = append(all[key].links, op)
	}
	return all
}

// check compares an object's row with what was done to it.
func (a *auditor) check(table, what string, c *chain, v version) {
	at := -1
	for i, op := range c.links {
		if op.Op == v.last.UUID {
			at = i
		}
	}
	if at < 0 {
		a.find(Unexpected, table+".last_op", v.last.UUID, c.user(), "%s was last changed by an operation that no client knows", what)
		return
	}
	if c.deletes != nil && c.deletes.Acknowledged() {
		a.find(Lost, table, c.deletes.Op, c.user(), "%s is there, and its deletion is acknowledged", what)
		c.deletes.found = true
	}
	// Each link that is not answered may be missing; the version says how many took place.
	sure, most := int64(0), int64(0)
	for _, op := range c.links[:at+1] {
		most++
		if op.Acknowledged() || op == c.links[at] {
			sure++
		}
	}
	switch {
	case v.number > most:
		a.find(Doubled, table+".version", v.last.UUID, c.user(), "%s has version %d after %d operations", what, v.number, most)
	case v.number < sure:
		a.find(Lost, table+".version", v.last.UUID, c.user(), "%s has version %d after %d operations", what, v.number, sure)
	}
	for _, op := range c.links[:at+1] {
		if op.Acknowledged() || op == c.links[at] {
			a.there(op, table)
		}
	}
	if last := c.links[at]; v.digest != last.Digest {
		a.find(Wrong, table, last.Op, last.User, "%s has another content than its last operation's", what)
	}
	if v.op != (op{}) && v.op.UUID != c.links[0].Op {
		a.find(Wrong, table+".op_id", v.op.UUID, c.user(), "%s was made by another operation than %s", what, c.links[0].Op)
	}
	for _, op := range c.links[at+1:] {
		a.must(op, table, fmt.Sprintf("a %v of %s", op.Kind, what))
	}
}

// gone is for a chain without a row: that is right if it was deleted.
func (a *auditor) gone(table, what string, c *chain) {
	if c.deletes == nil {
		for _, op := range c.links {
			a.must(op, table, fmt.Sprintf("a %v of %s", op.Kind, what))
		}
		return
	}
	a.there(c.deletes, table)
	for _, op := range c.links {
		op.found = true // it was there to be deleted
	}
}

func (c *chain) user() int64 {
	if len(c.links) == 0 {
		return 0
	}
	return c.links[0].User
}
