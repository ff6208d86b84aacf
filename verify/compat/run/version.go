package run

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/sandbox"
	"changeover/internal/server"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
)

// runner runs an input on one server.
type runner struct {
	server  *sandbox.Server
	conn    *sql.Conn // of the files
	root    *sql.DB   // looks at what they did
	opts    Options
	into    *compat.RanServer
	dialect ddl.Dialect
	modes   map[string]string // of programs, without what the server doesn't know
	failed  bool              // a statement did
	lost    bool              // the session is, with a statement that took too long
}

// all makes a server's definitions or runs a dump, once, or runs each version: up, down if it can be, and up again.
func (r *runner) all(ctx context.Context, in *compat.Input) error {
	switch {
	case len(in.Steps) > 0:
	case len(in.Files) > 0 && in.Shows(in.Files[0]) != nil:
		return r.definitions(ctx, in)
	default:
		return r.dumps(ctx, in.Files)
	}
	now, err := r.schemas(ctx)
	if err != nil {
		return err
	}
	for i, s := range in.Steps {
		if s.Up == nil {
			continue
		}
		if r.failed {
			r.into.Unrun = append(r.into.Unrun, name(s))
			continue
		}
		began := time.Now()
		if now, err = r.version(ctx, s, now); err != nil {
			return err
		}
		r.opts.Version(Done{Flavor: r.into.Flavor, Name: name(s), Number: i + 1, Of: len(in.Steps), Failed: r.failed, Took: time.Since(began)})
	}
	return nil
}

func name(s compat.Step) string { return fmt.Sprintf("%04d_%s", s.Version, s.Title) }

// dumps runs files to their ends, whatever fails in them.
func (r *runner) dumps(ctx context.Context, files []*ddl.File) error {
	for i, f := range files {
		if r.lost {
			r.into.Unrun = append(r.into.Unrun, f.Name)
			continue
		}
		began, failed := time.Now(), false
		for _, st := range dump(f, r.dialect, r.opts.ANSIQuotes) {
			o, err := r.statement(ctx, &st, compat.PassUp)
			if err != nil {
				return err
			}
			r.into.Outcomes = append(r.into.Outcomes, o)
			failed = failed || o.Error != nil
			if r.lost {
				break
			}
		}
		r.failed = r.failed || failed
		r.opts.Version(Done{Flavor: r.into.Flavor, Name: f.Name, Number: i + 1, Of: len(files), Failed: failed, Took: time.Since(began)})
	}
	return nil
}

// version runs one up, down and up again, and notes what the ways do not lead back to. It gives what there is in
// the end.
func (r *runner) version(ctx context.Context, s compat.Step, before schemas) (schemas, error) {
	up, err := r.file(ctx, s, s.Up, compat.PassUp, before)
	if err != nil || r.failed || s.Down == nil || r.opts.UpOnly {
		return up, err
	}
	down, err := r.file(ctx, s, s.Down, compat.PassDown, up)
	if err != nil || r.failed {
		return down, err
	}
	left := r.left(s, "", before.differences(down))
	again, err := r.file(ctx, s, s.Up, compat.PassAgain, down)
	if err == nil && !r.failed && !left {
		r.left(s, "when it is up again ", up.differences(again))
	}
	return again, err
}

// left notes what is otherwise than it was, and tells whether anything is.
func (r *runner) left(s compat.Step, when string, all []difference) bool {
	for _, d := range all {
		r.into.Left = append(r.into.Left, compat.Left{Version: s.Version, File: s.Down, Object: d.object, What: when + d.what})
	}
	return len(all) > 0
}

// way is a file on its way.
type way struct {
	step   compat.Step
	file   *ddl.File
	pass   compat.Pass
	before schemas     // what there was when it began
	done   []statement // that the server did
}

// file runs one file to its end, or to the first statement that fails, and gives what there is then.
func (r *runner) file(ctx context.Context, s compat.Step, f *ddl.File, pass compat.Pass, before schemas) (schemas, error) {
	w := &way{step: s, file: f, pass: pass, before: before}
	for _, st := range script(f, r.dialect, r.opts.ANSIQuotes) {
		o, err := r.statement(ctx, &st, pass)
		if err != nil {
			return before, err
		}
		if o.Unsent != "" {
			r.unsent(w, o)
			return before, nil
		}
		if o.Error != nil {
			return before, r.dirty(ctx, w, o)
		}
		r.into.Outcomes = append(r.into.Outcomes, o)
		w.done = append(w.done, st)
	}
	if err := r.note(ctx, w); err != nil || r.failed {
		return before, err
	}
	return r.schemas(ctx)
}

// note does what golang-migrate does to note the version: a serializable transaction. Its start unlocks tables, and
// is refused (1568) where the file left a transaction open.
func (r *runner) note(ctx context.Context, w *way) error {
	tx, err := r.conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err == nil {
		err = tx.Commit()
	}
	var answer *mysql.MySQLError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &answer):
		return r.broken(ctx, "the end of "+w.file.Name, err)
	}
	last := w.done[len(w.done)-1]
	return r.dirty(ctx, w, compat.Outcome{File: w.file, Start: last.start, End: last.end, Pass: w.pass, Error: &compat.ServerError{
		Flavor: r.into.Flavor, Errno: int(answer.Number), Message: quiet(answer.Message) + " (to golang-migrate, as it notes the version in a transaction of its own)",
	}})
}

// unsent ends the run on this server with a statement that is not sent: what it would do is not known, nor what would
// be there after it.
func (r *runner) unsent(w *way, o compat.Outcome) {
	line, _ := w.file.At(o.Start)
	r.failed = true
	r.into.Stopped = fmt.Sprintf("version %s: its way %s was not run from %s:%d on: %s", name(w.step), w.pass, w.file.Name, line, o.Unsent)
	r.into.Outcomes = append(r.into.Outcomes, o)
}

// dirty ends the run on this server with an outcome that is an error.
func (r *runner) dirty(ctx context.Context, w *way, o compat.Outcome) (err error) {
	line, _ := w.file.At(o.Start)
	r.failed = true
	r.into.Stopped = fmt.Sprintf("version %s is dirty: its way %s failed at %s:%d, and golang-migrate runs nothing after it", name(w.step), w.pass, w.file.Name, line)
	if !r.lost { // else the server may be at it still
		o.Half, err = r.half(ctx, w)
	}
	r.into.Outcomes = append(r.into.Outcomes, o)
	return err
}

// half is what a file has changed before it failed: what is otherwise than it was when the file began, and the
// tables whose rows it changed and that no rollback brings back.
func (r *runner) half(ctx context.Context, w *way) ([]string, error) {
	now, err := r.schemas(ctx)
	if err != nil {
		return nil, err
	}
	changed := map[string]bool{}
	for _, d := range w.before.differences(now) {
		changed[d.object] = true
	}
	for _, o := range rows(w.done) {
		changed[o] = true
	}
	return slices.Sorted(maps.Keys(changed)), nil
}

// rows are the tables whose rows the statements changed, if each was committed by itself.
func rows(done []statement) (all []string) {
	for i := range done {
		switch st := &done[i]; {
		case st.opens():
			return nil
		case st.Kind == ddl.Change || st.Kind == ddl.TruncateTable:
			all = append(all, st.objects()...)
		}
	}
	return all
}

// statement runs one; an error is what keeps its outcome from being known.
func (r *runner) statement(ctx context.Context, st *statement, pass compat.Pass) (o compat.Outcome, err error) {
	o = compat.Outcome{File: st.File, Start: st.start, End: st.end, Pass: pass}
	if o.Unsent = st.refusal(); o.Unsent != "" {
		return o, nil
	}
	return o, r.tell(ctx, &o, st.text(), fmt.Sprintf("%s:%d", st.File.Name, st.place()))
}

// tell sends an outcome's text and notes what the server says to it.
func (r *runner) tell(ctx context.Context, o *compat.Outcome, text, doing string) (err error) {
	near := ""
	if o.Error, o.Warnings, near, err = r.ask(ctx, text, doing); err != nil {
		return err
	}
	if o.At = stoppedAt(text, near); o.At >= 0 {
		o.At += o.Start
	}
	return nil
}

// ask sends a text, and gives what the server says to it: an error of its own, its warnings, and the error as it is,
// with what it quotes of the text.
func (r *runner) ask(ctx context.Context, text, doing string) (*compat.ServerError, []compat.ServerError, string, error) {
	bounded, cancel := context.WithTimeout(ctx, r.opts.Patience)
	defer cancel()
	_, err := r.conn.ExecContext(bounded, text)
	var answer *mysql.MySQLError
	switch {
	case err == nil:
	case errors.As(err, &answer):
	case ctx.Err() == nil && bounded.Err() != nil:
		r.lost, r.into.Stopped = true, fmt.Sprintf("%s took longer than %v", doing, r.opts.Patience)
		return &compat.ServerError{Flavor: r.into.Flavor, Message: fmt.Sprintf("no answer within %v", r.opts.Patience)}, nil, "", nil
	default:
		if r.conn.PingContext(ctx) != nil {
			return nil, nil, "", r.broken(ctx, doing, err)
		}
		// It is the driver's, as of LOAD DATA LOCAL, and the session goes on.
		return &compat.ServerError{Flavor: r.into.Flavor, Message: err.Error()}, nil, "", nil
	}
	warnings, err := r.warnings(ctx, answer)
	if err != nil {
		return nil, nil, "", r.broken(ctx, doing, err)
	}
	if answer == nil {
		return nil, warnings, "", nil
	}
	return &compat.ServerError{Flavor: r.into.Flavor, Errno: int(answer.Number), Message: quiet(answer.Message)}, warnings, answer.Message, nil
}

// broken is the error of a session that is lost.
func (r *runner) broken(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	if r.root.PingContext(ctx) != nil { // its process may be there for a moment yet
		return ended(r.server, doing, err)
	}
	return fmt.Errorf("%s: the session was lost: %w", doing, err)
}

// warnings are the server's to the statement before, without notes and without the error that it is answered with.
func (r *runner) warnings(ctx context.Context, answer *mysql.MySQLError) (all []compat.ServerError, err error) {
	_, rows, err := server.Rows(ctx, r.conn, "SHOW WARNINGS") // Level, Code, Message
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	for _, row := range rows {
		code, err := strconv.Atoi(row[1].String)
		if err != nil {
			return nil, err
		}
		if row[0].String != "Note" && (answer == nil || code != int(answer.Number)) {
			all = append(all, compat.ServerError{Flavor: r.into.Flavor, Errno: code, Message: quiet(row[2].String)})
		}
	}
	// MariaDB keeps the list until a statement reads a table: DROP PROCEDURE would seem to say it again.
	_, _, err = server.Rows(ctx, r.conn, "SELECT 1 FROM information_schema.ENGINES LIMIT 0")
	return all, err
}
