package source

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"changeover/internal/server"
)

// Position is how far the stream has come. It has one of three forms:
//
//   - MySQL with GTIDs: the set of all ids passed, with gaps and tags as they are;
//   - MariaDB: the last id of each domain, compared exactly, since its sequences may go backwards;
//   - file:offset where the source has no GTIDs: the end of the last transaction passed.
//
// The zero Position is no position at all; ParsePosition makes one, an empty text gives a GTID
// position before the first transaction. A copy shares its innards with the original: Clone
// before advancing one of the two. A Position is not safe for concurrent use.
type Position struct {
	flavor server.Flavor
	sets   map[string]*intervals  // MySQL: by "uuid" or "uuid:tag"
	last   map[uint32]mariaDBGTID // MariaDB: by domain
	file   string                 // neither: where no GTIDs are
	offset uint64                 // not wrapped at 4 GiB, unlike the server's
}

// ParsePosition reads what String wrote, or what a server says of itself: gtid_executed,
// gtid_binlog_pos, or file:offset (which either flavor may have).
func ParsePosition(flavor server.Flavor, text string) (Position, error) {
	if file, offset, ok := parseFileOffset(text); ok {
		return Position{flavor: flavor, file: file, offset: offset}, nil
	}
	p := Position{flavor: flavor}
	var err error
	switch flavor {
	case server.MySQL:
		p.sets, err = parseGTIDSet(text)
	case server.MariaDB:
		p.last, err = parseGTIDList(text)
	default:
		err = fmt.Errorf("unknown flavor %q", flavor)
	}
	if err != nil {
		return Position{}, fmt.Errorf("position %q: %w", text, err)
	}
	return p, nil
}

// parseFileOffset tells mysql-bin.000007:4 from a GTID: binlog files have a number as extension,
// UUIDs have none.
func parseFileOffset(text string) (file string, offset uint64, ok bool) {
	text = strings.TrimSpace(text)
	i := strings.LastIndexByte(text, ':')
	if i <= 0 || strings.ContainsAny(text, ", \t\n") {
		return "", 0, false
	}
	file = text[:i]
	if _, _, numbered := fileNumber(file); !numbered {
		return "", 0, false
	}
	offset, err := parseNumber(text[i+1:])
	return file, offset, err == nil
}

// parseNumber is ParseUint without its leniency: one number has one spelling.
func parseNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	if len(s) > 1 && s[0] == '0' {
		return 0, fmt.Errorf("%q begins with a zero", s)
	}
	return n, nil
}

// IsGTID is false for file:offset, and for the zero Position.
func (p Position) IsGTID() bool { return p.sets != nil || p.last != nil }

// IsZero tells that p is no position at all.
func (p Position) IsZero() bool { return !p.IsGTID() && p.file == "" }

// Flavor is the kind of server that the position is of.
func (p Position) Flavor() server.Flavor { return p.flavor }

// Advance passes tx: its id is added to the set, becomes its domain's last, or the offset moves to
// its end. The usual case, the next number of the same server, costs a map lookup.
func (p *Position) Advance(tx *Tx) { p.advance(tx.ID) }

func (p *Position) advance(id string) {
	switch {
	case p.sets != nil:
		if sid, gno, ok := splitGTID(id); ok {
			set := p.sets[sid]
			if set == nil {
				set = &intervals{}
				p.sets[sid] = set
			}
			set.add(gno, gno)
		}
	case p.last != nil:
		if g, err := parseMariaDBGTID(id); err == nil {
			p.last[g.domain] = g
		}
	default:
		if file, offset, ok := parseFileOffset(id); ok {
			p.file, p.offset = file, offset
		}
	}
}

// Contains tells whether the transaction id is in p. MySQL's sets know of every id; the other two
// forms know their last transactions only: for those, true says that id is the last one (of its
// domain), and false says nothing of ids before it.
func (p Position) Contains(id string) bool {
	switch {
	case p.sets != nil:
		sid, gno, ok := splitGTID(id)
		return ok && p.sets[sid] != nil && p.sets[sid].contains(gno)
	case p.last != nil:
		g, err := parseMariaDBGTID(id)
		last, known := p.last[g.domain]
		return err == nil && known && last == g
	default:
		file, offset, ok := parseFileOffset(id)
		return ok && p.file == file && p.offset == offset
	}
}

// ContainsAll tells whether p has everything that q has, and what is missing if not, in q's form.
//
// For MySQL's sets that is exact. A MariaDB list or a file:offset holds only the last ids, so what
// came before is inferred from their numbers: true means that p is not behind q by number.
// MariaDB itself, asked to stream from q, is the exact judge of that.
func (p Position) ContainsAll(q Position) (missing string, ok bool) {
	lost := Position{flavor: q.flavor}
	switch {
	case p.sets != nil && q.sets != nil:
		lost.sets = subtractSets(q.sets, p.sets)
		return lost.String(), len(lost.sets) == 0
	case p.last != nil && q.last != nil:
		lost.last = behind(q.last, p.last)
		return lost.String(), len(lost.last) == 0
	case p.file != "" && q.file != "":
		if p.notBefore(q) {
			return "", true
		}
	}
	missing = q.String()
	return missing, missing == ""
}

// notBefore compares two file:offsets: files of one name are numbered in order.
func (p Position) notBefore(q Position) bool {
	if p.file == q.file {
		return p.offset >= q.offset
	}
	pBase, pNumber, pOK := fileNumber(p.file)
	qBase, qNumber, qOK := fileNumber(q.file)
	return pOK && qOK && pBase == qBase && pNumber > qNumber
}

func fileNumber(file string) (base string, n uint64, ok bool) {
	i := strings.LastIndexByte(file, '.')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(file[i+1:], 10, 64)
	return file[:i], n, err == nil
}

// Clone is a copy that shares nothing with p.
func (p Position) Clone() Position {
	c := p
	if p.sets != nil {
		c.sets = make(map[string]*intervals, len(p.sets))
		for sid, set := range p.sets {
			s := slices.Clone(*set)
			c.sets[sid] = &s
		}
	}
	if p.last != nil {
		c.last = make(map[uint32]mariaDBGTID, len(p.last))
		for domain, g := range p.last {
			c.last[domain] = g
		}
	}
	return c
}

// String is the one canonical text of a position: ParsePosition reads it back, and so do the
// servers.
func (p Position) String() string {
	switch {
	case p.sets != nil:
		return formatSets(p.sets)
	case p.last != nil:
		return formatList(p.last)
	case p.file == "":
		return ""
	default:
		return fileOffset(p.file, p.offset)
	}
}

func fileOffset(file string, offset uint64) string {
	return file + ":" + strconv.FormatUint(offset, 10)
}

// Querier is what Current asks: a pool, a connection or a transaction of database/sql.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Current is where the source's stream is now: every transaction whose commit has returned is in
// it. On MySQL without gtid_mode=ON it is a file:offset.
func Current(ctx context.Context, db Querier, flavor server.Flavor) (Position, error) {
	if flavor == server.MariaDB {
		return currentGTID(ctx, db, flavor, "SELECT @@GLOBAL.gtid_binlog_pos")
	}
	var mode string
	if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL.gtid_mode").Scan(&mode); err != nil {
		return Position{}, fmt.Errorf("read gtid_mode: %w", err)
	}
	if mode == "ON" {
		return currentGTID(ctx, db, flavor, "SELECT @@GLOBAL.gtid_executed")
	}
	return currentOffset(ctx, db, flavor)
}

func currentGTID(ctx context.Context, db Querier, flavor server.Flavor, query string) (Position, error) {
	var text string
	if err := db.QueryRowContext(ctx, query).Scan(&text); err != nil {
		return Position{}, fmt.Errorf("read the source's position: %w", err)
	}
	return ParsePosition(flavor, text)
}

func currentOffset(ctx context.Context, db Querier, flavor server.Flavor) (Position, error) {
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return Position{}, fmt.Errorf("read the source's version: %w", err)
	}
	status := "SHOW MASTER STATUS"
	if flavor == server.MySQL && !versionBefore(version, 8, 2) {
		status = "SHOW BINARY LOG STATUS" // since 8.2; 8.4 no longer knows the old words
	}
	file, offset, err := firstLog(ctx, db, status)
	if err != nil {
		return Position{}, fmt.Errorf("read the source's position: %s: %w", status, err)
	}
	return Position{flavor: flavor, file: file, offset: offset}, nil
}

// firstLog reads the first two columns of a statement whose columns differ from version to version.
func firstLog(ctx context.Context, db Querier, query string) (file string, offset uint64, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return "", 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", 0, err
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return "", 0, err
		}
		return "", 0, fmt.Errorf("no row: the source writes no binlog (log_bin)")
	}
	err = rows.Scan(firstColumns(columns, &file, &offset)...)
	return file, offset, err
}

// firstColumns scans the first columns into the pointers, and passes the rest.
func firstColumns(columns []string, into ...any) []any {
	for range columns[min(len(into), len(columns)):] {
		into = append(into, new(sql.RawBytes))
	}
	return into
}

// versionBefore compares a server's own version text, 9.7.4-debug, with major.minor.
func versionBefore(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	haveMajor, _ := strconv.Atoi(parts[0])
	haveMinor, _ := strconv.Atoi(parts[1])
	return haveMajor < major || haveMajor == major && haveMinor < minor
}
