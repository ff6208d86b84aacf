package compat

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"changeover/internal/server"
)

// texts reads the objects' texts.
//
// Those of tables come as they are: MySQL prints expressions in utf8mb4 but says that it is utf8mb3, so a
// conversion would make ???? of an emoji. The others say rightly in what they are written, which may be latin1
// for one and utf8mb4 for the next, and are converted.
func (l *look) texts(ctx context.Context) error {
	programs := slices.IndexFunc(l.Objects, func(o Object) bool { return o.Kind != "table" })
	if programs < 0 {
		programs = len(l.Objects)
	}
	gone := make([]bool, len(l.Objects))
	for _, part := range []struct {
		set      string
		from, to int
	}{
		{"SET SESSION character_set_results = NULL", 0, programs},
		{"SET SESSION character_set_results = utf8mb4", programs, len(l.Objects)},
	} {
		err := l.each(ctx, part.set, part.to-part.from, func(ctx context.Context, conn *sql.Conn, i int) (err error) {
			i += part.from
			gone[i], err = l.text(ctx, conn, &l.Objects[i])
			return err
		})
		if err != nil {
			return err
		}
	}
	var there []Object
	for i, o := range l.Objects {
		if !gone[i] {
			there = append(there, o)
		}
	}
	l.Objects = there
	return nil
}

// text reads an object's text. It may be gone since it was listed.
func (l *look) text(ctx context.Context, conn *sql.Conn, o *Object) (gone bool, err error) {
	what := o.Kind + " " + o.Schema + "." + o.Name
	if o.Kind == "view" { // from its own database, else all names in it come with that of theirs
		if _, err := conn.ExecContext(ctx, "USE "+server.Name(o.Schema)); err != nil {
			return answer(err) == noDatabase, l.refusedBut(err, what, noDatabase)
		}
	}
	columns, rows, err := server.Rows(ctx, conn, "SHOW CREATE "+strings.ToUpper(o.Kind)+" "+server.Name(o.Schema, o.Name))
	if err != nil {
		return slices.Contains(nothingThere, answer(err)), l.refusedBut(err, what, nothingThere...)
	}
	at := slices.IndexFunc(columns, func(c string) bool { return strings.HasPrefix(c, "Create ") || c == "SQL Original Statement" })
	if len(rows) == 1 && at >= 0 {
		o.SQL = rows[0][at].String
	}
	if o.SQL == "" {
		l.refuse(what, "the server does not show its text to the account")
	}
	return false, nil
}
