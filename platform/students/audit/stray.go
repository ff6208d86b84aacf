package audit

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// opColumn is a column that has operations' ids.
type opColumn struct {
	table, column string
	last          bool // it has the last operation of an object: an earlier one may have been written over
}

// opColumns are all of them. On the old writer each is looked at.
var opColumns = []opColumn{
	{"users", "op_id", false}, {"sections", "op_id", false}, {"activities", "op_id", false}, {"teacher_feedbacks", "op_id", false},
	{"hoc_activity", "op_id", false}, {"hoc_activity", "finish_op", false}, {"projects", "op_id", false}, {"projects", "last_op", true},
	{"project_assets", "op_id", false}, {"libraries", "op_id", false}, {"data_records", "op_id", false}, {"data_records", "last_op", true},
	{"data_kvs", "last_op", true}, {"hoc_events", "op_id", false}, {"hoc_events", "last_op", true},
}

// others looks for rows that no client knows in the tables that students don't write to.
func (a *auditor) others(ctx context.Context) error {
	for _, c := range []opColumn{{"project_assets", "op_id", false}, {"libraries", "op_id", false}} {
		if err := a.during(ctx, func(scan func(...any) error) error {
			var id op
			if err := scan(&id); err != nil {
				return err
			}
			a.report.Rows[c.table]++
			a.find(Unexpected, c.table, id.UUID, 0, "a row is of an operation that no client knows")
			return nil
		}, "SELECT "+c.column+" FROM "+c.table+" WHERE created_at"); err != nil {
			return err
		}
	}
	return nil
}

// strays looks at the old writer: what it has of the run must be on the new one, and nothing may have
// been written to it after the fence. An operation's id has the time of its click, so no other column
// is needed to know which are of the run.
func (a *auditor) strays(ctx context.Context) error {
	if a.o.Old == nil {
		return nil
	}
	for _, c := range opColumns {
		here, err := a.opsIn(ctx, a.q, c)
		if err != nil {
			return err
		}
		there, err := a.opsIn(ctx, a.o.Old, c)
		if err != nil {
			return err
		}
		a.report.Rows["old writer"] += len(there)
		for id := range there {
			a.stray(c, id, here[id])
		}
	}
	return nil
}

// opsIn lists the operations of the run's time in a column.
func (a *auditor) opsIn(ctx context.Context, q queryer, c opColumn) (map[uuid.UUID]bool, error) {
	all := map[uuid.UUID]bool{}
	low, high := idAt(a.from), idAt(a.to)
	return all, each(ctx, q, func(scan func(...any) error) error {
		var id op
		err := scan(&id)
		all[id.UUID] = true
		return err
	}, "SELECT "+c.column+" FROM "+c.table+" WHERE "+c.column+" BETWEEN ? AND ?", low[:], high[:])
}

// idAt is the lowest UUIDv7 of a time.
func idAt(t time.Time) (id uuid.UUID) {
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

func (a *auditor) stray(c opColumn, id uuid.UUID, onBoth bool) {
	where := "old writer: " + c.table + "." + c.column
	known := a.ops[id]
	user, late := int64(0), false
	switch {
	case known != nil:
		user, late = known.User, !a.o.Fence.IsZero() && known.Sent.After(a.o.Fence)
	case !a.o.Fence.IsZero(): // of a stranger's operation only the click's time is known
		sec, nsec := id.Time().UnixTime()
		late = time.Unix(sec, nsec).After(a.o.Fence)
	}
	switch {
	case onBoth && late && !a.o.Reversed:
		a.find(Stray, where, id, user, "it was first sent after the fence, and the old writer has it too")
	case onBoth:
	case c.last && known != nil && (!late || a.o.Reversed):
		// The new writer's object may have gone on since: then its last operation is another one. Where a
		// reverse stream comes behind, that goes for any time; what was written to the old writer by itself
		// is lost on the new one then, or shown by the comparison of both.
	case late:
		a.find(Stray, where, id, user, "it was written to the old writer after the fence, and the new one doesn't have it")
	default:
		a.find(Stray, where, id, user, "the old writer has it, and the new one doesn't")
	}
}
