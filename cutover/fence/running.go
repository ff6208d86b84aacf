package fence

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/internal/server"
)

// Blocker is a session in whose way a fence would be, or that would be in the fence's.
type Blocker struct {
	ID        uint64        `json:"id"` // 0: the server does not tell the session
	User      string        `json:"user"`
	Host      string        `json:"host"` // address:port
	Database  string        `json:"database,omitempty"`
	What      string        `json:"what"` // statement, ddl, lock, backup, transaction
	For       time.Duration `json:"for"`
	Statement string        `json:"statement,omitempty"` // its beginning; empty of a session that sleeps
	Stalls    bool          `json:"stalls"`              // the fence would wait for it, and everybody behind the fence
}

func (b Blocker) String() string {
	if b.ID == 0 {
		return "a session that the server does not tell: " + b.Statement
	}
	s := fmt.Sprintf("session %d of %s from %s: %s for %v", b.ID, b.User, b.Host, b.What, b.For.Round(time.Millisecond))
	if b.Statement != "" {
		s += ": " + b.Statement
	}
	return s
}

// What a blocker does.
const (
	blockStatement   = "statement"
	blockDDL         = "ddl"
	blockLock        = "lock"
	blockBackup      = "backup"
	blockTransaction = "transaction"
)

// Running lists what has been going on for longer than older and would stall the fence or be hurt by it:
// write statements, DDL, LOCK TABLES and FLUSH TABLES WITH READ LOCK, backup locks; and transactions that
// have changed something, which don't stall it but fail behind it. The longest come first. It needs PROCESS.
//
// MySQL tells who holds its locks, idle sessions with LOCK TABLES included. MariaDB does so only where its
// plugin metadata_lock_info is installed; else what a session does is told from its statement's first word,
// LOCK TABLES from tables that are in use by no statement (the blocker has no ID then), and an idle FLUSH
// TABLES WITH READ LOCK is not seen.
func Running(ctx context.Context, db *sql.DB, older time.Duration) ([]Blocker, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	sessions, err := processes(ctx, conn)
	if err != nil {
		return nil, err
	}
	var text string
	var own uint64
	if err := conn.QueryRowContext(ctx, "SELECT VERSION(), CONNECTION_ID()").Scan(&text, &own); err != nil {
		return nil, err
	}
	found := map[uint64]Blocker{}
	byStatement(found, sessions)
	if strings.Contains(text, "MariaDB") {
		err = locksMariaDB(ctx, conn, found, sessions)
	} else {
		err = locksMySQL(ctx, conn, found, sessions)
	}
	if err != nil {
		return nil, fmt.Errorf("ask who holds locks: %w", err)
	}
	if err := transactions(ctx, conn, found, sessions); err != nil {
		return nil, fmt.Errorf("ask for open transactions: %w", err)
	}
	var all []Blocker
	for _, b := range found {
		// For how long a session has had a lock while it sleeps, its idle time does not tell.
		if b.ID != own && (b.For >= older || b.Statement == "" && b.What != blockTransaction || b.ID == 0) {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b Blocker) int { return cmp.Or(cmp.Compare(b.For, a.For), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// process is a session of the process list.
type process struct {
	AppSession
	statement string // its beginning
	full      string
}

func (p process) blocker(what string) Blocker {
	return Blocker{ID: p.ID, User: p.User, Host: p.Client, Database: p.Database, What: what, For: p.For, Statement: p.statement, Stalls: true}
}

// byStatement judges by a running statement's first words.
func byStatement(found map[uint64]Blocker, sessions map[uint64]process) {
	for id, p := range sessions {
		if p.Command != "Query" && p.Command != "Execute" && p.Command != "Connect" || p.User == "system user" || p.User == "event_scheduler" && p.statement == "" {
			continue
		}
		if what := kindOf(p.statement); what != "" {
			found[id] = p.blocker(what)
		}
	}
}

var (
	leading  = regexp.MustCompile(`^(?s:\s|/\*.*?\*/|--[^\n]*\n|#[^\n]*\n|\()*`)
	word     = regexp.MustCompile(`^[A-Za-z]+`)
	locking  = regexp.MustCompile(`(?i)\bFOR\s+UPDATE\b|\bINTO\s+(OUT|DUMP)FILE\b`)
	instance = regexp.MustCompile(`(?i)^LOCK\s+INSTANCE\b`)
	flush    = regexp.MustCompile(`(?i)^FLUSH\s+(LOCAL\s+|NO_WRITE_TO_BINLOG\s+)?TABLES?\b`)
)

// kindOf says what a statement would be in the way with; empty: with nothing.
func kindOf(statement string) string {
	s := statement[len(leading.FindString(statement)):]
	switch strings.ToUpper(word.FindString(s)) {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "XA", "COMMIT", "IMPORT":
		return blockStatement
	case "WITH":
		if writer.MatchString(s) {
			return blockStatement
		}
	case "ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE", "OPTIMIZE", "REPAIR", "ANALYZE", "GRANT", "REVOKE":
		return blockDDL
	case "LOCK":
		if instance.MatchString(s) {
			return blockBackup
		}
		return blockLock
	case "BACKUP":
		return blockBackup
	case "FLUSH":
		if flush.MatchString(s) {
			return blockLock
		}
	case "SELECT", "VALUES", "TABLE":
		if locking.MatchString(s) {
			return blockStatement
		}
	}
	return ""
}

// locksMySQL adds whoever holds a lock that a fence must wait for. A write statement is seen by its lock,
// whatever its text says: a SELECT with a function that writes.
func locksMySQL(ctx context.Context, q server.Queryer, found map[uint64]Blocker, sessions map[uint64]process) error {
	held, err := heldOnMySQL(ctx, q)
	if err != nil {
		return err
	}
	again := held
	if slices.ContainsFunc(slices.Collect(maps.Values(held)), row.idle) {
		// Lock and session are not read at one moment: only who has the same lock twice, asleep, keeps it.
		if again, err = heldOnMySQL(ctx, q); err != nil {
			return err
		}
	}
	for key, r := range held {
		p, ok := session(sessions, r["id"])
		if !ok {
			continue
		}
		what := r.lockKind()
		if r.idle() {
			if now, still := again[key]; !still || !now.idle() {
				continue
			}
			p.statement = ""
		} else if p.statement == "" {
			continue // began after the process list was read
		}
		if _, known := found[p.ID]; what != "" && !known {
			found[p.ID] = p.blocker(what)
		}
	}
	return nil
}

// heldOnMySQL reads the server's locks of all tables at once; the key tells one acquisition from another.
func heldOnMySQL(ctx context.Context, q server.Queryer) (map[string]row, error) {
	rows, err := ask(ctx, q, `
		SELECT t.PROCESSLIST_ID AS id, t.PROCESSLIST_COMMAND AS command, l.OBJECT_TYPE AS object, l.LOCK_TYPE AS lock_type, l.LOCK_DURATION AS duration,
			CONCAT_WS(' ', t.PROCESSLIST_ID, l.OBJECT_TYPE, l.LOCK_TYPE, l.OWNER_EVENT_ID) AS acquisition
		FROM performance_schema.metadata_locks l
		JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID
		WHERE l.LOCK_STATUS = 'GRANTED' AND t.PROCESSLIST_ID IS NOT NULL
			AND l.OBJECT_TYPE IN ('GLOBAL', 'COMMIT', 'BACKUP LOCK')`)
	if denied(err) || number(err) == erNoTable {
		return nil, nil // what the statements say must do
	}
	held := make(map[string]row, len(rows))
	for _, r := range rows {
		held[r["acquisition"]] = r
	}
	return held, err
}

func (r row) idle() bool { return r["command"] == "Sleep" }

// lockKind is what holds such a lock.
func (r row) lockKind() string {
	switch {
	case r["object"] == "BACKUP LOCK" && (r["lock_type"] != "SHARED" || r["duration"] != "EXPLICIT"):
		return "" // DDL, which is seen by its other lock; LOCK INSTANCE FOR BACKUP is shared and explicit
	case r["lock_type"] == "SHARED":
		return blockBackup // FLUSH TABLES WITH READ LOCK too
	case r.idle():
		return blockLock // LOCK TABLES … WRITE
	}
	return blockStatement
}

// locksMariaDB asks the plugin, if it is installed.
func locksMariaDB(ctx context.Context, q server.Queryer, found map[uint64]Blocker, sessions map[uint64]process) error {
	rows, err := ask(ctx, q, "SELECT THREAD_ID AS id, LOCK_MODE AS lock_mode, LOCK_TYPE AS lock_type FROM information_schema.METADATA_LOCK_INFO")
	if err != nil {
		if n := number(err); n == erUnknownTable || n == erNoTable || denied(err) {
			return lockedTables(ctx, q, found)
		}
		return err
	}
	for _, r := range rows {
		p, ok := session(sessions, r["id"])
		if _, known := found[p.ID]; !ok || known || p.statement != "" || !strings.Contains(r["lock_mode"], "MDL_BACKUP") {
			continue
		}
		found[p.ID] = p.blocker(blockLock)
	}
	return nil
}

// lockedTables finds tables that are in use by nobody's statement: somebody has them by LOCK TABLES. Who, the
// server does not say. A busy table is in use at each look as well, but then some look sees a statement
// that names it.
func lockedTables(ctx context.Context, q server.Queryer, found map[uint64]Blocker) error {
	const looks = 5
	seen := map[string]int{}
	for range looks {
		tables, err := ask(ctx, q, "SHOW OPEN TABLES WHERE In_use > 0")
		if err != nil || len(tables) == 0 {
			return err
		}
		sessions, err := processes(ctx, q)
		if err != nil {
			return err
		}
		for _, t := range tables {
			seen[t["database"]+"."+t["table"]]++
			for _, p := range sessions {
				if strings.Contains(strings.ToLower(p.full), strings.ToLower(t["table"])) {
					seen[t["database"]+"."+t["table"]] = -looks
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name] == looks {
			found[0] = Blocker{What: blockLock, Statement: "LOCK TABLES " + name, Stalls: true}
		}
	}
	return nil
}

func session(sessions map[uint64]process, id string) (process, bool) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return process{}, false
	}
	p, ok := sessions[n]
	return p, ok
}

// transactions adds open ones that have changed rows, and says how long they have been open.
func transactions(ctx context.Context, q server.Queryer, found map[uint64]Blocker, sessions map[uint64]process) error {
	rows, err := ask(ctx, q, `
		SELECT trx_mysql_thread_id AS id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS seconds
		FROM information_schema.INNODB_TRX
		WHERE trx_mysql_thread_id > 0 AND trx_rows_modified > 0`)
	if denied(err) {
		return nil
	}
	for _, r := range rows {
		p, ok := session(sessions, r["id"])
		if _, known := found[p.ID]; !ok || known {
			continue
		}
		b := p.blocker(blockTransaction)
		b.Stalls = false
		seconds, _ := strconv.Atoi(r["seconds"])
		b.For = max(b.For, time.Duration(seconds)*time.Second)
		found[p.ID] = b
	}
	return err
}
