package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// assembler makes transactions of events: one for each connection, since a transaction whose
// events were read in part is read again by the next.
//
//	           GTID                    BEGIN (MySQL)              XID, COMMIT
//	between ─────────▶ announced ─────────────────────▶ inside ─────────────────▶ between
//	                       │   GTID, not standalone (MariaDB)
//	                       └────────▶ statement: a transaction of its own ─────▶ between
//
// Without GTIDs before MySQL 5.7 nothing announces: BEGIN or the statement comes first.
type assembler struct {
	flavor  server.Flavor
	gtid    bool // ids are GTIDs; else file:offset
	largeTx int64
	decode  *decoder
	ours    func(*Rows) bool
	lenient bool // see ReaderConfig
	put     func(context.Context, item) error
	done    func(tx *Tx)      // the transaction is in the queue, whole
	count   func(wanted bool) // a row event was read

	file string
	pos  uint64 // the end of the last event, not wrapped at 4 GiB; file:offset's truth

	phase      phase
	standalone bool // MariaDB: the next statement is the whole transaction
	tx         *Tx
	start      uint64 // where the transaction begins
	length     uint64 // its length in the file, where the source says so
	changed    bool   // it has row events, wanted or not
	handed     bool   // large: its head is in the queue
	piece      []Rows // large: what goes next
	pieceBytes int64
	insertID   uint64

	sid    [16]byte // the last GTID's server and tag, and their text
	tag    string
	prefix string
}

// phase is where in a transaction the stream is.
type phase uint8

const (
	between phase = iota
	announced
	inside
)

// txOverhead is what a transaction holds without any rows.
const txOverhead = 512

// rowsOverhead is what one row event holds without its rows.
const rowsOverhead = 160

// handle takes one event of the stream.
func (a *assembler) handle(ctx context.Context, e *rawEvent) error {
	a.advance(e)
	if e.payload != nil {
		return a.decode.payload(e, func(inner *rawEvent) error {
			if inner.Timestamp == 0 {
				inner.Timestamp = e.Timestamp
			}
			return a.event(ctx, inner)
		})
	}
	return a.event(ctx, e)
}

// advance keeps the place in the log. The server's own positions wrap at 4 GiB.
func (a *assembler) advance(e *rawEvent) {
	switch {
	case e.Flags&replication.LOG_EVENT_ARTIFICIAL_F != 0,
		e.EventType == replication.ROTATE_EVENT,
		e.EventType == replication.HEARTBEAT_EVENT,
		e.EventType == replication.HEARTBEAT_LOG_EVENT_V2:
	case e.LogPos == 0: // MariaDB ≥ 11.4 leaves it out of some events
		if a.flavor == server.MariaDB {
			a.pos += e.end
		}
	default:
		pos := a.pos&^0xffffffff | uint64(e.LogPos)
		if pos < a.pos {
			pos += 1 << 32
		}
		a.pos = pos
	}
}

// event takes one event, of the stream itself or from inside a compressed transaction.
func (a *assembler) event(ctx context.Context, e *rawEvent) error {
	switch e.EventType {
	case replication.TABLE_MAP_EVENT:
		return a.decode.tableMap(e)
	case replication.WRITE_ROWS_EVENTv1, replication.UPDATE_ROWS_EVENTv1, replication.DELETE_ROWS_EVENTv1,
		replication.WRITE_ROWS_EVENTv2, replication.UPDATE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv2,
		replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1,
		replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1,
		replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1,
		replication.PARTIAL_UPDATE_ROWS_EVENT:
		return a.rows(ctx, e)
	case replication.GTID_EVENT, replication.ANONYMOUS_GTID_EVENT, replication.GTID_TAGGED_LOG_EVENT,
		replication.MARIADB_GTID_EVENT:
		return a.announce(e)
	case replication.QUERY_EVENT, replication.MARIADB_QUERY_COMPRESSED_EVENT:
		return a.query(ctx, e)
	case replication.XID_EVENT:
		return a.commit(ctx, e)
	case replication.INTVAR_EVENT:
		return a.intVar(e)
	case replication.ROTATE_EVENT:
		return a.rotate(ctx, e)
	case replication.FORMAT_DESCRIPTION_EVENT:
		return a.decode.describe(e)
	default:
		return a.other(ctx, e)
	}
}

// other passes events without a meaning for us, and stops at all others.
func (a *assembler) other(ctx context.Context, e *rawEvent) error {
	switch e.EventType {
	case replication.HEARTBEAT_EVENT, replication.HEARTBEAT_LOG_EVENT_V2, replication.STOP_EVENT,
		replication.PREVIOUS_GTIDS_EVENT, replication.ROWS_QUERY_EVENT, replication.IGNORABLE_EVENT,
		replication.TRANSACTION_CONTEXT_EVENT, replication.VIEW_CHANGE_EVENT,
		replication.MARIADB_ANNOTATE_ROWS_EVENT, replication.MARIADB_BINLOG_CHECKPOINT_EVENT,
		replication.MARIADB_GTID_LIST_EVENT, replication.MARIADB_START_ENCRYPTION_EVENT:
		return nil
	case replication.XA_PREPARE_LOG_EVENT:
		if a.lenient {
			return a.commit(ctx, e)
		}
		return a.refuseXA()
	case replication.INCIDENT_EVENT:
		return fault.New(fault.StreamEvent, "the source logged an incident at %s: changes may be missing from its binlog", a.here())
	case replication.USER_VAR_EVENT, replication.RAND_EVENT, replication.BEGIN_LOAD_QUERY_EVENT,
		replication.EXECUTE_LOAD_QUERY_EVENT, replication.APPEND_BLOCK_EVENT, replication.DELETE_FILE_EVENT:
		if a.lenient {
			return nil
		}
		return fault.New(fault.StreamStatement, "a %s at %s belongs to a statement that is logged as text", e.EventType, a.here())
	}
	if e.Flags&replication.LOG_EVENT_IGNORABLE_F != 0 {
		return nil
	}
	return unknownEvent(e)
}

func unknownEvent(e *rawEvent) error {
	return fault.New(fault.StreamEvent, "an event of type %d (%s) is unknown to this version", e.EventType, e.EventType)
}

func (a *assembler) refuseXA() error {
	return fault.New(fault.StreamEvent, "an XA transaction at %s", a.here())
}

// here names a place for a person: the transaction, and where in the log.
func (a *assembler) here() string {
	at := fileOffset(a.file, a.pos)
	if a.tx != nil && a.tx.ID != "" {
		return a.tx.ID + " (" + at + ")"
	}
	return at
}

// announce takes the event that begins a transaction.
func (a *assembler) announce(e *rawEvent) error {
	if a.phase != between {
		return fmt.Errorf("a transaction begins at %s before the one before it has ended", a.here())
	}
	ev, err := a.decode.event(e)
	if err != nil {
		return err
	}
	switch ev := ev.(type) {
	case *replication.GTIDEvent:
		return a.begin(e, ev)
	case *replication.GtidTaggedLogEvent:
		return a.begin(e, &ev.GTIDEvent)
	case *replication.MariadbGTIDEvent:
		return a.beginMariaDB(e, ev)
	}
	return unknownEvent(e)
}

func (a *assembler) open(e *rawEvent) {
	a.tx = &Tx{Server: e.ServerID, Committed: time.Unix(int64(e.Timestamp), 0), Bytes: txOverhead}
	a.phase = announced
	a.standalone, a.changed, a.handed = false, false, false
	a.piece, a.pieceBytes, a.length = nil, 0, 0
	a.start = a.pos - e.end
}

func (a *assembler) begin(e *rawEvent, ev *replication.GTIDEvent) error {
	a.open(e)
	if ev.ImmediateCommitTimestamp != 0 {
		a.tx.Committed = time.UnixMicro(int64(ev.ImmediateCommitTimestamp))
	}
	a.length = ev.TransactionLength
	if !a.gtid {
		return nil
	}
	if e.EventType == replication.ANONYMOUS_GTID_EVENT {
		return fault.New(fault.StreamEvent, "a transaction at %s has no GTID, on a source whose position is a GTID set", a.here())
	}
	a.tx.ID = a.id(ev)
	return nil
}

// id is the transaction's GTID; the text of its server is kept from one to the next.
func (a *assembler) id(ev *replication.GTIDEvent) string {
	if tag := ev.Tag.String(); a.prefix == "" || !bytes.Equal(a.sid[:], ev.SID) || a.tag != tag {
		copy(a.sid[:], ev.SID)
		a.tag = tag
		h := hex.EncodeToString(ev.SID)
		a.prefix = h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:] + ":"
		if tag != "" {
			a.prefix += tag + ":"
		}
	}
	var b [80]byte
	return string(strconv.AppendInt(append(b[:0], a.prefix...), ev.GNO, 10))
}

// Flags of MariaDB's GTID event.
const (
	mdbStandalone   = 0x01
	mdbGroupCommit  = 0x02
	mdbPreparedXA   = 0x40
	mdbCompletedXA  = 0x80
	mdbTwoPhase     = 0x02 | 0x04 | 0x08 // of the extra flags: START, COMMIT, ROLLBACK ALTER
	mdbCommitIDSize = 8
	mdbHeadSize     = 8 + 4 + 1
)

func (a *assembler) beginMariaDB(e *rawEvent, ev *replication.MariadbGTIDEvent) error {
	a.open(e)
	if a.gtid {
		a.tx.ID = mariaDBGTID{ev.GTID.DomainID, e.ServerID, ev.GTID.SequenceNumber}.String()
	}
	if ev.Flags&(mdbPreparedXA|mdbCompletedXA) != 0 && !a.lenient {
		return a.refuseXA()
	}
	extra := mdbHeadSize
	if ev.Flags&mdbGroupCommit != 0 {
		extra += mdbCommitIDSize
	}
	if body := e.body(); len(body) > extra && body[extra]&mdbTwoPhase != 0 && !a.lenient {
		return fault.New(fault.StreamDDL, "a two-phase ALTER TABLE at %s (binlog_alter_two_phase=ON)", a.here())
	}
	a.standalone = ev.Flags&mdbStandalone != 0
	if !a.standalone {
		a.phase = inside
	}
	return nil
}

// rows takes a row event.
func (a *assembler) rows(ctx context.Context, e *rawEvent) error {
	if a.phase != inside {
		return fmt.Errorf("row changes at %s outside of a transaction", a.here())
	}
	a.changed = true
	if a.tx.Ours {
		a.count(false)
		return nil
	}
	rows, err := a.decode.rowsEvent(e)
	if err != nil {
		return err
	}
	a.count(rows != nil)
	if rows == nil {
		return nil
	}
	if a.ours != nil && a.ours(rows) {
		a.tx.Ours, a.tx.Rows, a.tx.Bytes = true, nil, txOverhead
		return nil
	}
	n := rowsOverhead + imageSize(rows.Images)
	a.tx.Bytes += n
	if a.handed {
		return a.addPiece(ctx, *rows, n)
	}
	a.tx.Rows = append(a.tx.Rows, *rows)
	if a.tx.Bytes > a.largeTx {
		return a.handOver(ctx)
	}
	return nil
}

// handOver begins to hand out a transaction whose end has not been read.
func (a *assembler) handOver(ctx context.Context) error {
	a.handed = true
	tx := a.tx
	a.piece, a.pieceBytes = tx.Rows, tx.Bytes
	tx.Rows, tx.Large = nil, true
	tx.Log = LogPosition{a.file, uint32(a.pos)}
	if !a.gtid && a.length > 0 {
		tx.ID = fileOffset(a.file, a.start+a.length)
	}
	head := *tx // the consumer's own: ours goes on growing
	head.Bytes = txOverhead
	if err := a.put(ctx, item{tx: &head, bytes: txOverhead}); err != nil {
		return err
	}
	return a.flush(ctx)
}

// pieces of a large transaction are so big.
const pieceSize = 1 << 20

func (a *assembler) addPiece(ctx context.Context, rows Rows, n int64) error {
	a.piece = append(a.piece, rows)
	a.pieceBytes += n
	if a.pieceBytes < min(pieceSize, a.largeTx) {
		return nil
	}
	return a.flush(ctx)
}

func (a *assembler) flush(ctx context.Context) error {
	if len(a.piece) == 0 {
		return nil
	}
	it := item{rows: a.piece, bytes: a.pieceBytes}
	a.piece, a.pieceBytes = nil, 0
	return a.put(ctx, it)
}

// commit ends the transaction and puts it into the queue, whole.
func (a *assembler) commit(ctx context.Context, e *rawEvent) error {
	if a.phase == between {
		return fmt.Errorf("a commit at %s outside of a transaction", a.here())
	}
	tx := a.tx
	tx.Log = LogPosition{a.file, uint32(a.pos)}
	if !a.gtid {
		end := fileOffset(a.file, a.pos)
		if tx.ID != "" && tx.ID != end { // handed out under a name that it should have had
			return fmt.Errorf("the transaction that should end at %s ends at %s", tx.ID, end)
		}
		tx.ID = end
	}
	last := item{tx: tx, bytes: tx.Bytes}
	if a.handed {
		if err := a.flush(ctx); err != nil {
			return err
		}
		last = item{end: io.EOF, id: tx.ID, bytes: txOverhead}
	}
	if err := a.put(ctx, last); err != nil {
		return err
	}
	a.close()
	a.done(tx)
	return a.decode.trim()
}

func (a *assembler) close() {
	a.phase, a.tx, a.handed, a.piece = between, nil, false, nil
}

// abandon gives the transaction in hand up; what of it was handed out is said to be void.
func (a *assembler) abandon(ctx context.Context) error {
	handed := a.handed
	a.close()
	if handed {
		return a.put(ctx, item{end: ErrInterrupted, bytes: txOverhead})
	}
	return nil
}

func (a *assembler) intVar(e *rawEvent) error {
	ev, err := a.decode.event(e)
	if err != nil {
		return err
	}
	if iv := ev.(*replication.IntVarEvent); iv.Type == replication.INSERT_ID {
		a.insertID = iv.Value
	}
	return nil
}

// rotate goes to another file. A transaction never spans two: one that is cut off was never
// committed, the source died while it wrote it.
func (a *assembler) rotate(ctx context.Context, e *rawEvent) error {
	body := e.body()
	if len(body) < 8 {
		return fmt.Errorf("a rotate event of %d bytes", len(body))
	}
	if a.phase != between {
		if err := a.abandon(ctx); err != nil {
			return err
		}
	}
	name := string(body[8:])
	offset := binary.LittleEndian.Uint64(body)
	if name == a.file && offset == a.pos&0xffffffff {
		return nil // the server names where it starts; ours knows more than 32 bits
	}
	a.file, a.pos = name, offset
	return nil
}

// query takes a statement.
func (a *assembler) query(ctx context.Context, e *rawEvent) error {
	ev, err := a.decode.event(e)
	if err != nil {
		return err
	}
	q := ev.(*replication.QueryEvent)
	insertID := a.insertID
	a.insertID = 0
	if a.phase == between {
		if a.gtid {
			return fmt.Errorf("a statement at %s without a GTID", a.here())
		}
		a.open(e)
	}
	switch { // these two are half of all statements
	case bytes.EqualFold(q.Query, []byte("BEGIN")):
		a.phase = inside
		return nil
	case bytes.EqualFold(q.Query, []byte("COMMIT")):
		return a.commit(ctx, e)
	}
	return a.statement(ctx, e, q, insertID)
}

func (a *assembler) statement(ctx context.Context, e *rawEvent, q *replication.QueryEvent, insertID uint64) error {
	class := Classify(string(q.Query), string(q.Schema), a.flavor)
	switch class.Kind {
	case Transaction:
		return a.control(ctx, e, class.Verb)
	case DML:
		if a.lenient {
			if a.tx.Statement == nil {
				a.tx.Statement = a.newStatement(e, q, insertID)
			}
			return nil
		}
		return fault.New(fault.StreamStatement, "at %s a change is logged as a statement, not as rows: %s", a.here(), excerpt(q.Query))
	}
	if a.phase == inside {
		return a.within(e, q, class, insertID)
	}
	a.tx.Statement = a.newStatement(e, q, insertID)
	a.tx.Bytes += int64(len(q.Query))
	return a.commit(ctx, e)
}

// within takes a statement inside of a transaction: the table of a CREATE TABLE … SELECT, before its
// rows. Temporary tables concern nobody else.
func (a *assembler) within(e *rawEvent, q *replication.QueryEvent, class Class, insertID uint64) error {
	switch {
	case class.Kind == TableDDL && class.Temporary, class.Kind == Maintenance, a.lenient && a.tx.Statement != nil:
		return nil
	case (a.tx.Statement != nil || a.changed) && !a.lenient:
		return fault.New(fault.StreamDDL, "at %s a statement stands in the middle of a transaction: %s", a.here(), excerpt(q.Query))
	}
	a.tx.Statement = a.newStatement(e, q, insertID)
	a.tx.Bytes += int64(len(q.Query))
	return nil
}

// control takes BEGIN, COMMIT, ROLLBACK, SAVEPOINT and XA in all their spellings.
func (a *assembler) control(ctx context.Context, e *rawEvent, verb string) error {
	switch verb {
	case "BEGIN", "START TRANSACTION":
		a.phase = inside
		return nil
	case "COMMIT":
		return a.commit(ctx, e)
	case "ROLLBACK": // and ROLLBACK TO, which the binlog holds only if it can't be cut out of it
		if a.changed && !a.lenient {
			return fault.New(fault.StreamEvent, "at %s a transaction with row changes is rolled back in whole or in part", a.here())
		}
		if a.isPartial(e) {
			return nil
		}
		return a.commit(ctx, e)
	case "XA":
		if !a.lenient {
			return a.refuseXA()
		}
		return a.xa(ctx, e)
	}
	return nil // SAVEPOINT, RELEASE
}

// xa takes XA START, which begins what its prepare ends, and XA COMMIT and ROLLBACK, which stand alone.
func (a *assembler) xa(ctx context.Context, e *rawEvent) error {
	ev, err := a.decode.event(e)
	if err != nil {
		return err
	}
	l := lexer{sql: string(ev.(*replication.QueryEvent).Query)}
	l.next()
	switch t := l.next(); {
	case t.is("START", "BEGIN"):
		a.phase = inside
	case t.is("COMMIT", "ROLLBACK"):
		return a.commit(ctx, e)
	}
	return nil
}

// isPartial tells ROLLBACK TO from ROLLBACK.
func (a *assembler) isPartial(e *rawEvent) bool {
	ev, err := a.decode.event(e)
	if err != nil {
		return false
	}
	l := lexer{sql: string(ev.(*replication.QueryEvent).Query)}
	l.next()
	t := l.next()
	return t.is("TO") || t.is("WORK") && l.next().is("TO")
}

// createdBySelect is what MySQL puts behind the table of a CREATE TABLE … SELECT.
const createdBySelect = " START TRANSACTION"

func (a *assembler) newStatement(e *rawEvent, q *replication.QueryEvent, insertID uint64) *Statement {
	vars, _ := parseStatusVars(a.flavor, q.StatusVars)
	vars.Timestamp, vars.InsertID = e.Timestamp, insertID
	sql := string(q.Query)
	if a.phase == inside {
		sql = strings.TrimSuffix(sql, createdBySelect)
	}
	return &Statement{SQL: sql, Schema: string(q.Schema), Session: vars, ErrorCode: q.ErrorCode}
}

// excerpt is the beginning of a statement, for a message.
func excerpt(sql []byte) string {
	const most = 200
	s := strings.ToValidUTF8(string(sql[:min(len(sql), most)]), "")
	if len(sql) > most {
		s += "…"
	}
	return s
}

var errLargeOpen = errors.New("the large transaction before has not been read to its end")
