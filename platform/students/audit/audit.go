// Package audit tells whether the platform kept its word: it compares the ledger of a run, which the
// clients wrote, with the rows of the database.
//
// In: ledgers, the writer's database, and where there was a cutover the old writer's. Out: a verdict
// for each thing that isn't as it should be. The decision that matters: both directions are looked at,
// and effects beside rows. That each acknowledged operation has its row is not enough: a row that no
// client asked for is a fault too, and an operation that was carried out twice behind a unique key is
// seen only in what it counted.
//
//	lost        acknowledged, and not in the writer
//	doubled     there twice, or counted twice
//	unexpected  in the writer, within the run's time or of its users, and not in the ledger
//	stray       in the old writer and not in the new one, or written there after the fence
//	different   a row that is not the same on both servers, if both are to be equal
//	wrong       there with another content
//	stale       acknowledged, and missed by a later read of the same client: the ledger says so
//
// All must be empty. Recovered, which is not acknowledged but there, is allowed and counted.
package audit

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"changeover/platform/students/ledger"
)

// Verdict is what is wrong.
type Verdict string

// The verdicts.
const (
	Lost       Verdict = "lost"
	Doubled    Verdict = "doubled"
	Unexpected Verdict = "unexpected"
	Stray      Verdict = "stray"
	Different  Verdict = "different"
	Wrong      Verdict = "wrong"
	Stale      Verdict = "stale"
)

// Verdicts lists them, gravest first.
var Verdicts = []Verdict{Lost, Doubled, Wrong, Stray, Different, Stale, Unexpected}

// Options say what to compare.
type Options struct {
	Ledgers []*ledger.Log
	Writer  *sql.DB // its default database is the platform's
	Old     *sql.DB // the writer before the cutover; nil: there was none
	// Fence is when the old writer began to refuse; zero: not known, then only rows that the new
	// writer lacks are strays.
	Fence time.Time
	// Reversed: a reverse stream has carried the new writer's rows to the old one, so a row that is on
	// both is no stray.
	Reversed bool
	// Equal: all rows of all tables must be the same on both servers, whoever wrote them; a stream that is
	// on its way has Within to come. It goes for any number of passes of the role.
	Equal  bool
	Within time.Duration
	// OnlyOwn leaves alone what others did during the run. Without it every row of that time must be in
	// one of the ledgers.
	OnlyOwn bool
	Limit   int // how many findings are kept; all are counted. 0: 100

	differed func() // called when something differs and is looked at again: for tests
}

// Finding is one thing that is wrong.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	Where   string  `json:"where"` // table or column
	Op      string  `json:"op,omitempty"`
	User    int64   `json:"user,omitempty"`
	Text    string  `json:"text"`
}

// LedgerReport says what a ledger was.
type LedgerReport struct {
	File         string       `json:"file"`
	Run          string       `json:"run"`
	Started      time.Time    `json:"started"`
	Operations   int          `json:"operations"`
	Acknowledged int          `json:"acknowledged"`
	Refused      int          `json:"refused"`
	Open         int          `json:"open"` // sent, without a final answer
	Retried      int          `json:"retried"`
	Ended        bool         `json:"ended"`
	Torn         *ledger.Torn `json:"torn,omitempty"`
}

// Report is the answer.
type Report struct {
	Ledgers   []LedgerReport  `json:"ledgers"`
	Counts    map[Verdict]int `json:"counts"`
	Recovered int             `json:"recovered"`
	// OutboxOnly is how many acknowledged operations took more than one try: what a page that gives up
	// would have lost, or shown as failed.
	OutboxOnly int            `json:"outboxOnly"`
	Rows       map[string]int `json:"rows"`            // compared, by table
	Effects    map[string]int `json:"effects"`         // compared, by column
	Epochs     map[int64]int  `json:"epochs"`          // acknowledged operations, by the writer's epoch
	Sides      *Sides         `json:"sides,omitempty"` // if both were to be equal
	Findings   []Finding      `json:"findings"`
	Seconds    float64        `json:"seconds"`
}

// Clean tells whether nothing is wrong.
func (r *Report) Clean() bool {
	for _, n := range r.Counts {
		if n > 0 {
			return false
		}
	}
	return true
}

// auditor is an audit under way.
type auditor struct {
	o        Options
	q        queryer
	report   *Report
	ops      map[uuid.UUID]*operation
	inOrder  []*operation
	users    map[int64]bool // of the run
	from, to time.Time      // of the run
	scripts  map[string]scriptRow
}

// operation is one of a ledger's, and what the audit knows of it.
type operation struct {
	*ledger.Operation
	found bool // it is in the database
}

// queryer is a transaction, so that every table is seen as of one moment; of the old writer a pool.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Run compares, as of one moment. An error says that it could not.
func Run(ctx context.Context, o Options) (*Report, error) {
	var sides *Sides
	var differences []Finding
	if o.Equal {
		if o.Old == nil {
			return nil, errors.New("both servers are to be equal, and there is only one")
		}
		var err error
		// First, because it waits for the stream: the moment of the rest is behind it.
		if sides, differences, err = equal(ctx, o); err != nil {
			return nil, fmt.Errorf("compare both servers: %w", err)
		}
	}
	tx, err := o.Writer.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read the writer: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	r, err := compare(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	r.Sides = sides
	for _, d := range differences {
		r.find(d, cmp.Or(o.Limit, defaultLimit))
	}
	r.sort()
	return r, nil
}

const defaultLimit = 100

func compare(ctx context.Context, q queryer, o Options) (*Report, error) {
	began := time.Now()
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	a := &auditor{o: o, q: q, ops: map[uuid.UUID]*operation{}, users: map[int64]bool{}, report: &Report{Counts: map[Verdict]int{},
		Rows: map[string]int{}, Effects: map[string]int{}, Epochs: map[int64]int{}, Ledgers: []LedgerReport{}, Findings: []Finding{}}}
	for _, v := range Verdicts {
		a.report.Counts[v] = 0
	}
	if err := a.take(); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"scripts", a.readScripts}, {"users", a.people}, {"sessions", a.sessions}, {"activities", a.runs},
		{"hoc_activity", a.hours}, {"sections", a.sections}, {"section_students", a.joins}, {"teacher_feedbacks", a.feedback},
		{"projects", a.projects}, {"data_records", a.records}, {"data_kvs", a.pairs}, {"hoc_events", a.events},
		{"tables that students don't write to", a.others}, {"the old writer", a.strays},
	} {
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("audit %s: %w", step.name, err)
		}
	}
	a.lost()
	a.report.Seconds = time.Since(began).Seconds()
	a.report.sort()
	return a.report, nil
}

// sort puts the gravest first.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(x, y Finding) int {
		return cmp.Compare(slices.Index(Verdicts, x.Verdict), slices.Index(Verdicts, y.Verdict))
	})
}

// find counts a finding, and keeps it if there is room.
func (r *Report) find(f Finding, limit int) {
	r.Counts[f.Verdict]++
	if len(r.Findings) < limit {
		r.Findings = append(r.Findings, f)
	}
}

// margin is how far the clocks of the students and of the application servers may be apart.
const margin = 2 * time.Second

// afterwards is how long after its last sign a run's requests may still be carried out.
const afterwards = time.Minute

// take reads the ledgers into the audit.
func (a *auditor) take() error {
	if len(a.o.Ledgers) == 0 {
		return errors.New("no ledger")
	}
	for _, log := range a.o.Ledgers {
		r := LedgerReport{File: log.File, Run: log.Run, Started: log.Started, Operations: len(log.Operations), Ended: log.Ended, Torn: log.Torn}
		for _, o := range log.Operations {
			if _, twice := a.ops[o.Op]; twice {
				return fmt.Errorf("operation %s is in the ledgers twice", o.Op)
			}
			op := &operation{Operation: o}
			a.ops[o.Op] = op
			a.inOrder = append(a.inOrder, op)
			a.count(&r, o)
		}
		for _, s := range log.Stale {
			a.find(Stale, s.Kind.String(), s.Op, s.User, "%s", s.Text)
		}
		a.report.Ledgers = append(a.report.Ledgers, r)
	}
	if len(a.inOrder) == 0 {
		return errors.New("the ledgers have no operation")
	}
	slices.SortStableFunc(a.inOrder, func(x, y *operation) int { return x.Sent.Compare(y.Sent) })
	a.from = a.from.Add(-margin)
	a.to = a.to.Add(afterwards)
	return nil
}

func (a *auditor) count(r *LedgerReport, o *ledger.Operation) {
	switch {
	case o.Acknowledged():
		r.Acknowledged++
		a.report.Epochs[o.Outcome.Epoch]++
		if o.Outcome.Tries > 1 {
			a.report.OutboxOnly++
		}
	case o.Refused():
		r.Refused++
	default:
		r.Open++
	}
	if o.Outcome.Tries > 1 {
		r.Retried++
	}
	for _, id := range []int64{o.User, o.Outcome.User} {
		if id != 0 {
			a.users[id] = true
		}
	}
	if a.from.IsZero() || o.Sent.Before(a.from) {
		a.from = o.Sent
	}
	for _, t := range []time.Time{o.Sent, o.Outcome.Acknowledged} {
		if t.After(a.to) {
			a.to = t
		}
	}
}

// find notes what is wrong.
func (a *auditor) find(v Verdict, where string, op uuid.UUID, user int64, format string, args ...any) {
	f := Finding{Verdict: v, Where: where, User: user, Text: fmt.Sprintf(format, args...)}
	if op != (uuid.UUID{}) {
		f.Op = op.String()
	}
	a.report.find(f, a.o.Limit)
}

// match finds the operation that a row says it is of; nil if no client knows it.
func (a *auditor) match(table string, id uuid.UUID, kinds ...ledger.Kind) *operation {
	op := a.ops[id]
	if op == nil {
		return nil
	}
	if !slices.Contains(kinds, op.Kind) {
		a.find(Wrong, table, id, op.User, "the row says it is of an operation that is a %v", op.Kind)
		return op
	}
	a.there(op, table)
	return op
}

// there notes that an operation has been carried out.
func (a *auditor) there(op *operation, table string) {
	if op.found {
		return
	}
	op.found = true
	switch {
	case op.Acknowledged():
	case op.Refused():
		a.find(Unexpected, table, op.Op, op.User, "the client was told %d %s, and it is there", op.Outcome.Status, op.Outcome.Code)
	default:
		a.report.Recovered++
	}
}

// must notes an operation without a row that should have one.
func (a *auditor) must(op *operation, table, what string) {
	if !op.found && op.Acknowledged() {
		op.found = true // said once
		a.find(Lost, table, op.Op, op.User, "%s, acknowledged at %s, is not there", what, op.Outcome.Acknowledged.Format(time.RFC3339Nano))
	}
}

// lost goes through what is acknowledged and was found nowhere.
func (a *auditor) lost() {
	for _, op := range a.inOrder {
		a.must(op, tableOf[op.Kind], op.Kind.String())
	}
}

// tableOf is where a kind has its row.
var tableOf = map[ledger.Kind]string{
	ledger.Guest: "users", ledger.Account: "users", ledger.SignIn: "sessions", ledger.Run: "activities", ledger.HocStart: "hoc_activity",
	ledger.HocFinish: "hoc_activity.finish_op", ledger.Join: "section_students", ledger.Section: "sections", ledger.Feedback: "teacher_feedbacks",
	ledger.FeedbackSeen: "teacher_feedbacks.seen_at", ledger.Project: "projects", ledger.Save: "projects", ledger.Record: "data_records",
	ledger.RecordSave: "data_records", ledger.RecordDelete: "data_records", ledger.Pair: "data_kvs", ledger.Event: "hoc_events", ledger.EventSave: "hoc_events",
}

// ofKinds lists the operations of some kinds, as they were sent.
func (a *auditor) ofKinds(kinds ...ledger.Kind) (all []*operation) {
	for _, op := range a.inOrder {
		if slices.Contains(kinds, op.Kind) {
			all = append(all, op)
		}
	}
	return all
}

// mayBe tells whether the operation can have been carried out: nobody was told that it wasn't.
func (o *operation) mayBe() bool { return !o.Refused() }
