package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/internal/server"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
)

// relaxed is the sql_mode under which tables and views are made: it takes every definition that some server once
// took. A program is made under its own.
const relaxed = "NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES"

// Errors of an object that is made before another one that it names.
const (
	noSuchTable   = 1146
	noSuchRoutine = 1305
	invalidView   = 1356
)

// Warnings that say nothing of an object: a throwaway server has none of the source's accounts, and a MariaDB shows
// each integer with its width, which MySQL deprecates.
const (
	noDefiner  = 1449
	deprecated = 1681
)

// definitions makes what a server shows. A view may need one that comes later: those wait until nothing more can
// be made.
func (r *runner) definitions(ctx context.Context, in *compat.Input) error {
	began := time.Now()
	if _, err := r.conn.ExecContext(ctx, "SET SESSION foreign_key_checks = 0"); err != nil {
		return r.broken(ctx, "the beginning", err)
	}
	for files := in.Files; len(files) > 0; {
		var failed []compat.Outcome
		for _, f := range files {
			o := compat.Outcome{File: f, End: len(f.Text), Pass: compat.PassUp}
			if f.Text == "" { // the server that was looked at did not show it
				continue
			}
			if err := r.definition(ctx, in.Shows(f), &o); err != nil {
				return err
			}
			if o.Error != nil && slices.Contains([]int{noSuchTable, noSuchRoutine, invalidView}, o.Error.Errno) {
				failed = append(failed, o)
				continue
			}
			r.into.Outcomes = append(r.into.Outcomes, o)
			r.failed = r.failed || o.Error != nil
			if r.lost {
				return nil
			}
		}
		if len(failed) == len(files) || len(failed) == 0 {
			r.into.Outcomes = append(r.into.Outcomes, failed...)
			r.failed = r.failed || len(failed) > 0
			break
		}
		files = filesOf(failed)
	}
	r.opts.Version(Done{Flavor: r.into.Flavor, Name: fmt.Sprint(len(in.Files), " definitions"), Number: 1, Of: 1, Failed: r.failed, Took: time.Since(began)})
	return nil
}

func filesOf(all []compat.Outcome) (files []*ddl.File) {
	for _, o := range all {
		files = append(files, o.File)
	}
	return files
}

// definition makes one object in its database.
func (r *runner) definition(ctx context.Context, object *compat.Object, o *compat.Outcome) error {
	mode, err := r.mode(ctx, object)
	if err != nil {
		return err
	}
	for _, q := range []string{
		"CREATE DATABASE IF NOT EXISTS " + server.Name(object.Schema),
		"USE " + server.Name(object.Schema),
		"SET SESSION sql_mode = '" + mode + "'",
		o.File.Text,
	} {
		if err := r.tell(ctx, o, q, o.File.Name); err != nil || o.Error != nil {
			return err
		}
	}
	o.Warnings = slices.DeleteFunc(o.Warnings, func(w compat.ServerError) bool { return w.Errno == noDefiner || w.Errno == deprecated })
	return nil
}

// mode is the sql_mode under which an object is made, without the modes that this server doesn't know: a rule is
// about those.
func (r *runner) mode(ctx context.Context, object *compat.Object) (string, error) {
	if slices.Contains([]string{"table", "sequence", "view"}, object.Kind) {
		return relaxed, nil
	}
	if mode, ok := r.modes[object.SQLMode]; ok {
		return mode, nil
	}
	var known []string
	for m := range strings.SplitSeq(object.SQLMode, ",") {
		answer, _, _, err := r.ask(ctx, "SET SESSION sql_mode = '"+m+"'", "sql_mode "+m)
		if err != nil {
			return "", err
		}
		if answer == nil {
			known = append(known, m)
		}
	}
	r.modes[object.SQLMode] = strings.Join(known, ",")
	return r.modes[object.SQLMode], nil
}
