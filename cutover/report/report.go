// Package report makes the page that tells a cutover: what was done and when, and what the people
// before their screens saw of it.
//
// In: the records of attempts, and what a load measured around them. Out: one HTML file that needs no
// network and no script, so it can be sent, kept and printed. The decision that matters: both clocks are
// shown. The coordinator's timeline says how long writes were held; the clients' latency chart says what
// came of it, and whether they agree.
package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"time"
)

// Story is all that the page shows. What is left out is not shown.
type Story struct {
	Migration string
	Title     string    // default: the migration's name
	Made      time.Time // when the page was made; zero: not said
	About     string    // a sentence on how it was measured

	Attempts []Record
	Latency  []Point // in order of time
	Seen     []Seen  // what the clients saw of attempts, known by their number
	Audit    *Audit
	Proof    *Proof // the newest; the attempts have their own
}

// Record is an attempt's, as cutover.Record writes it in JSON. Steps are in the order in which they
// began.
type Record struct {
	Migration string         `json:"migration"`
	Attempt   uint64         `json:"attempt"`
	Kind      string         `json:"kind"`
	Epoch     uint64         `json:"epoch"`
	Outcome   string         `json:"outcome"`
	Old       string         `json:"old"`
	New       string         `json:"new"`
	Began     time.Time      `json:"began"`
	Steps     []Step         `json:"steps"`
	HoldMS    float64        `json:"hold_ms"`
	Gates     []Gate         `json:"gates"`
	Proof     Proof          `json:"proof"`
	Position  string         `json:"position"`
	Return    string         `json:"return"`
	Present   map[string]int `json:"present"`
	Reasons   []string       `json:"reasons"`
	Notes     []string       `json:"notes"`
}

// Step is one step's part of the timeline, in milliseconds after the attempt began.
type Step struct {
	Name    string  `json:"name"`
	StartMS float64 `json:"start_ms"`
	TookMS  float64 `json:"took_ms"`
	Note    string  `json:"note"`
	Error   string  `json:"error"`
}

// Gate is the hold as one gate measured it.
type Gate struct {
	Name         string  `json:"name"`
	HeldMS       float64 `json:"held_ms"`
	FirstWriteMS float64 `json:"first_write_ms"`
	Waiting      int     `json:"waiting"`
}

// Proof says what was compared.
type Proof struct {
	Complete bool    `json:"complete"`
	Rows     uint64  `json:"rows"`
	Keys     int     `json:"keys"`
	TookMS   float64 `json:"took_ms"`
}

// ReadRecord reads the document of an attempt.
func ReadRecord(document []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(document, &r); err != nil {
		return r, fmt.Errorf("read the record of an attempt: %w", err)
	}
	return r, nil
}

// Point is a tenth of a second of what clients saw. Latencies are milliseconds, of the writes that were
// clicked in it; zero if there were none.
type Point struct {
	At            time.Time
	P50, P99, Max float64
	Writes        int // acknowledged
	Runs          int // of them
	Failed        int // requests, in the strict sense
	Stale         int // reads that missed an acknowledged write
}

// Seen is what the clients saw of an attempt.
type Seen struct {
	Attempt               uint64
	HoldMS                float64 // from the first held write's sending to its acknowledgement by the new writer; 0: nothing waited
	Before, During, After Stretch // ten seconds, the second of the cutover, ten seconds
}

// Stretch is a part of the clients' time. All but the counts are milliseconds.
type Stretch struct {
	Pause                 float64 // the longest time between two acknowledged writes, over all clients
	P50, P99, Max         float64 // of writes, from the click
	ReadP99, ReadMax      float64
	Writes, Failed, Stale int64
}

// Audit is what became of the clients' ledger.
type Audit struct {
	Lost, Doubled, Wrong, Stray, Different, Unexpected int
	Stale, Failed                                      int64
	Acknowledged                                       int64 // operations that were looked for
	Recovered                                          int   // there without having been acknowledged: allowed
	SameRows                                           int   // on both servers; 0: not compared
}

// Clean tells whether nothing is wrong.
func (a Audit) Clean() bool {
	return a.Lost+a.Doubled+a.Wrong+a.Stray+a.Different+a.Unexpected == 0 && a.Stale+a.Failed == 0
}

//go:embed page.html.tmpl
var pageText string

//go:embed style.css
var style string

// HTML writes the page.
func HTML(w io.Writer, s Story) error {
	t, err := template.New("report").Funcs(template.FuncMap{"ms": ms, "count": count, "clock": clock, "rows": rows, "row": newRow}).Parse(pageText)
	if err != nil {
		return err
	}
	var page bytes.Buffer // whole or not at all
	if err := t.Execute(&page, newPage(s)); err != nil {
		return fmt.Errorf("make the report of %s: %w", s.Migration, err)
	}
	_, err = page.WriteTo(w)
	return err
}
