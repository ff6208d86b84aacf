package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/row"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// listing is what the two servers have in scope.
type listing struct {
	names    []Name // tables that both have
	findings []TableReport
	skipped  []Skipped
	rows     map[Name]uint64 // the source's estimate
}

const baseTable = "BASE TABLE"

// list asks both servers what they have. A table that one of them lacks is a finding; what is a table on
// neither, such as a view, is skipped.
func (s *Standalone) list(ctx context.Context, c *comparer) (*listing, error) {
	var ours, theirs map[Name]listed
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { ours, err = s.listOf(gctx, c.source); return err })
	group.Go(func() (err error) { theirs, err = s.listOf(gctx, c.target); return err })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := s.known(ctx, c, ours, theirs); err != nil {
		return nil, err
	}
	all := &listing{rows: map[Name]uint64{}}
	for _, n := range slices.SortedFunc(maps.Keys(union(ours, theirs)), compareNames) {
		all.add(n, ours[n], theirs[n])
	}
	if len(all.names)+len(all.findings) == 0 {
		return nil, fault.New(fault.NothingToMove, "there is no table to compare in %s", strings.Join(s.o.Databases, ", "))
	}
	return all, nil
}

// listed is something that a server has: its kind, in information_schema's words, empty if it isn't there.
type listed struct {
	kind string
	rows uint64 // about
}

func (l *listing) add(n Name, ours, theirs listed) {
	switch {
	case ours.kind == baseTable && theirs.kind == baseTable:
		l.names = append(l.names, n)
		l.rows[n] = ours.rows
	case ours.kind == baseTable:
		l.finding(n, "target", theirs.kind)
	case theirs.kind == baseTable:
		l.finding(n, "source", ours.kind)
	default:
		kind := ours.kind
		if kind == "" {
			kind = theirs.kind
		}
		l.skipped = append(l.skipped, Skipped{n, strings.ToLower(kind)})
	}
}

func (l *listing) finding(n Name, side, kind string) {
	reason := "no such table on the " + side
	if kind != "" {
		reason = fmt.Sprintf("a %s on the %s", strings.ToLower(kind), side)
	}
	l.findings = append(l.findings, TableReport{Name: n, Verdict: Different, Reason: reason})
}

func (s *Standalone) listOf(ctx context.Context, on side) (map[Name]listed, error) {
	conn, err := on.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tables of the %s: %w", on.name, err)
	}
	defer func() { _ = conn.Close() }()
	if on.flavor == server.MySQL { // its estimates are a day old otherwise
		if _, err := conn.ExecContext(ctx, "SET SESSION information_schema_stats_expiry = 0"); err != nil {
			return nil, fmt.Errorf("list the tables of the %s: %w", on.name, err)
		}
	}
	found := map[Name]listed{}
	for _, database := range s.o.Databases {
		if err := s.listDatabase(ctx, conn, database, found); err != nil {
			return nil, fmt.Errorf("list the tables of %s on the %s: %w", database, on.name, err)
		}
	}
	return found, nil
}

func (s *Standalone) listDatabase(ctx context.Context, q queryer, database string, found map[Name]listed) error {
	rows, err := q.QueryContext(ctx, `SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, COALESCE(TABLE_ROWS, 0)
		FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?`, database)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n Name
		var l listed
		if err := rows.Scan(&n.Schema, &n.Table, &l.kind, &l.rows); err != nil {
			return err
		}
		if n.Schema == database && s.o.InScope(n.Schema, n.Table) {
			found[n] = l
		}
	}
	return rows.Err()
}

// known fails if a database has nothing in scope on either side because neither side has it: a name that is
// misspelt would else be found equal.
func (s *Standalone) known(ctx context.Context, c *comparer, lists ...map[Name]listed) error {
	missing := slices.DeleteFunc(slices.Clone(s.o.Databases), func(database string) bool {
		return slices.ContainsFunc(lists, func(found map[Name]listed) bool {
			for n := range found {
				if n.Schema == database {
					return true
				}
			}
			return false
		})
	})
	for _, database := range missing {
		there := false
		for _, on := range []side{c.source, c.target} {
			var name string
			err := on.db.QueryRowContext(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", database).Scan(&name)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("look for database %s on the %s: %w", database, on.name, err)
			}
			there = there || name == database
		}
		if !there {
			return fault.New(fault.NoDatabase, "neither %s nor %s has a database %s", s.o.Source, s.o.Target, database)
		}
	}
	return nil
}

// load reads the definitions of the tables, and pairs them: in a few questions, however many they are.
func (s *Standalone) load(ctx context.Context, c *comparer, l *listing) ([]*scan, error) {
	ours, err := s.definitions(ctx, c.source)
	if err != nil {
		return nil, err
	}
	theirs, err := s.definitions(ctx, c.target)
	if err != nil {
		return nil, err
	}
	var scans []*scan
	for _, f := range l.findings {
		scans = append(scans, closedScan(f))
	}
	for _, n := range l.names {
		p, ranges, err := s.match(c, n, ours, theirs)
		var problem problem
		switch {
		case errors.As(err, &problem):
			scans = append(scans, closedScan(TableReport{Name: n, Verdict: Different, Reason: string(problem)}))
		case err != nil:
			return nil, err
		default:
			scans = append(scans, &scan{pair: p, ranges: ranges, expected: l.rows[n], cutter: newCutter(), report: TableReport{Name: n, Verdict: Same}})
		}
	}
	return scans, nil
}

// closedScan is a table of which nothing is read.
func closedScan(report TableReport) *scan {
	t := &scan{report: report}
	t.cut.Store(true)
	return t
}

func (s *Standalone) definitions(ctx context.Context, on side) (map[Name]*row.Table, error) {
	tables, err := row.LoadAll(ctx, on.db, s.o.Databases)
	if err != nil {
		return nil, fmt.Errorf("read the definitions from the %s: %w", on.name, err)
	}
	all := make(map[Name]*row.Table, len(tables))
	for _, t := range tables {
		all[Name{t.Schema, t.Name}] = t
	}
	return all, nil
}

// match pairs a table's definitions, and tells whether ranges of its key have the same rows on both sides.
// It may be gone since it was listed.
func (s *Standalone) match(c *comparer, n Name, ours, theirs map[Name]*row.Table) (p *pair, ranges bool, err error) {
	source, target := ours[n], theirs[n]
	switch {
	case source == nil:
		return nil, false, problem("no such table on the source")
	case target == nil:
		return nil, false, problem("no such table on the target")
	}
	if p, err = c.match(source, target); err != nil || !p.keyed() {
		return p, false, err
	}
	kind, order := sameKeys(source, target)
	if !kind {
		source.RowKey, target.RowKey = -1, -1
	}
	return p, order && p.cut(), nil
}

// sameKeys compares the columns of two row keys. Values that are not of one kind have two forms, and a
// condition that names one means two things: then rows have no names in common. In two collations the names
// are the same, but not their order.
func sameKeys(source, target *row.Table) (kind, order bool) {
	kind, order = true, true
	ours, theirs := source.Keys[source.RowKey].Parts, target.Keys[target.RowKey].Parts
	for i := range ours {
		a, b := source.Columns[ours[i].Column], target.Columns[theirs[i].Column]
		kind = kind && a.Kind == b.Kind && mb3(a.Charset) == mb3(b.Charset) && slices.Equal(a.Members, b.Members)
		order = order && mb3(a.Collation) == mb3(b.Collation)
	}
	return kind, kind && order
}

// mb3 has one name for the charset, or the collation, that versions name differently.
func mb3(name string) string {
	if name == "utf8" || strings.HasPrefix(name, "utf8_") {
		return "utf8mb3" + name[len("utf8"):]
	}
	return name
}

func union[V any](a, b map[Name]V) map[Name]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func compareNames(a, b Name) int { return strings.Compare(a.String(), b.String()) }
