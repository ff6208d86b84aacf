package gate

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
)

// row is what a server answered when it was asked for its route row.
type row struct {
	found    bool
	err      error // it could not be asked
	side     Side  // which side the server says it is
	writer   Side
	epoch    uint64
	attempt  uint64
	bus      string
	migrated string // the migration's name as found
}

func (r row) missing() bool { return r.err == nil && !r.found }

// verdict is what both rows say.
type verdict struct {
	side    Side
	epoch   uint64
	attempt uint64
	sure    bool
	bus     string
}

// decide says from both rows who may be written to. A server may be if its own row names it and no higher
// epoch is known. known and epoch are what the gate goes by so far, highest is the highest epoch that it knows of;
// settled: it was sure once. Then rows that can't be read contradict nothing: whoever was right goes on, and the
// server itself refuses who is not.
func decide(source, target row, known Side, epoch, highest uint64, settled bool) verdict {
	rows := map[Side]row{Source: source, Target: target}
	v := verdict{side: known, epoch: max(epoch, highest, source.epoch, target.epoch), bus: cmp.Or(source.bus, target.bus)}
	named := 0
	for side, r := range rows {
		if r.found && r.writer == side && r.epoch == v.epoch {
			v.side, v.attempt, v.sure = side, r.attempt, true
			v.bus = cmp.Or(r.bus, v.bus)
			named++
		}
	}
	if named > 0 {
		v.sure = named == 1 // two at one epoch: somebody has written what he must not
		return v
	}
	own, other := rows[known], rows[known.other()]
	switch {
	case v.epoch > epoch: // somebody else is the writer, or will be
	case own.missing() && other.missing(): // no migration yet, or one that was forgotten
		v.sure = true
	case settled && (own.err != nil || own.missing() && other.writer == known && other.epoch == epoch): // half forgotten
		v.sure = true
	}
	return v
}

// read asks a server for its route row. Which table, database or row is missing is all the same: no row.
func (p *pool) read(ctx context.Context, migration string, number func(error) (uint16, bool)) (r row) {
	rows, err := p.ear.QueryContext(ctx, "SELECT migration, side, writer, epoch, attempt, bus FROM `_changeover`.`route`")
	if err != nil {
		switch n, _ := number(err); n {
		case 1146, 1049: // no such table, no such database
			return row{}
		case 1142, 1044: // access denied
			err = fmt.Errorf("the application's account needs SELECT on `_changeover`.`route`: %w", err)
		}
		return row{err: err}
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var at row
		var bus sql.NullString
		if err := rows.Scan(&at.migrated, &at.side, &at.writer, &at.epoch, &at.attempt, &bus); err != nil {
			return row{err: err}
		}
		if at.migrated == migration {
			at.found, at.bus = true, bus.String
			r = at
		}
	}
	if err := rows.Err(); err != nil {
		return row{err: err}
	}
	if r.found && (r.side != p.side || !r.writer.valid()) {
		return row{err: fmt.Errorf("the server that is configured as the %s says that it is the %s, and that the writer is the %s: %w",
			p.side, r.side, r.writer, errSwapped)}
	}
	return r
}
