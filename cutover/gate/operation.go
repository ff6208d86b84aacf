package gate

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// Operation is a write that can be recognised: it has an id, and puts it into the database, in its own transaction, under a
// unique key.
type Operation struct {
	// Done asks, in tx, whether the operation has taken place. It must read with a lock (FOR UPDATE, LOCK IN SHARE MODE): the
	// session whose answer was lost may still be at its COMMIT, which only a lock waits for; a plain SELECT finds
	// nothing, and a moment later it is there.
	Done func(ctx context.Context, tx *sql.Tx) (bool, error)
}

// OperationIn is the operation with that id in a column of a table (or database.table) that has a unique key over it.
func OperationIn(table, column string, id any) Operation {
	names := strings.Split(table, ".")
	for i, n := range names {
		names[i] = quote(n)
	}
	query := "SELECT 1 FROM " + strings.Join(names, ".") + " WHERE " + quote(column) + " = ? FOR UPDATE"
	return Operation{Done: func(ctx context.Context, tx *sql.Tx) (bool, error) {
		var one int
		err := tx.QueryRowContext(ctx, query, id).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		return err == nil, err
	}}
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// WriteOp is Write for a write that can be recognised. When the answer to its COMMIT is lost, op says whether it took place,
// asked on the writer of then; if not, fn is run again. fn has to put the operation's id into the database. The error
// is ErrUnknown only if ctx ends, or the database answers with an error, before that could be settled: the same
// operation may then be sent again.
func (g *Gate) WriteOp(ctx context.Context, op Operation, fn func(ctx context.Context, tx *sql.Tx) error) error {
	if op.Done == nil {
		return errors.New("the operation can't be asked for: Done is nil")
	}
	return g.write(ctx, &op, fn)
}

// doneAfterAll tells whether an operation whose COMMIT went unanswered turns out to be done, though the next try of it failed
// with err. At READ COMMITTED a locking read that finds nothing keeps nobody from inserting; then the try met its own
// forerunner's row.
func (w *writer) doneAfterAll(ctx context.Context, pass Pass, err error) bool {
	if n, ok := w.g.cfg.Number(err); !ok || n != erDuplicate {
		return false
	}
	tx, err := pass.DB.BeginTx(ctx, nil)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback() }()
	done, err := w.op.Done(ctx, tx)
	return err == nil && done
}

const erDuplicate = 1062
