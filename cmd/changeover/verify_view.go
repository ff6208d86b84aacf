package main

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"changeover/verify"
)

// verifyView is a report as it is shown.
type verifyView struct {
	*verify.Report
	hideValues bool
}

// count is how many tables have a verdict.
func (v verifyView) count(verdict verify.Verdict) int {
	n := 0
	for _, t := range v.Tables {
		if t.Verdict == verdict {
			n++
		}
	}
	return n
}

// The answer in JSON. docs/verify.md documents the fields.
type (
	verifyJSON struct {
		Verdict       verify.Verdict    `json:"verdict"`
		Source        string            `json:"source"`
		Target        string            `json:"target"`
		Position      string            `json:"position,omitempty"`
		Began         time.Time         `json:"began"`
		TookMS        int64             `json:"took_ms"`
		RowsSource    uint64            `json:"rows_source"`
		RowsTarget    uint64            `json:"rows_target"`
		RowsDifferent uint64            `json:"rows_different"`
		RowsUnsettled uint64            `json:"rows_unsettled"`
		Tables        []tableJSON       `json:"tables"`
		NotCompared   []notComparedJSON `json:"not_compared"`
	}
	tableJSON struct {
		Schema        string           `json:"schema"`
		Table         string           `json:"table"`
		Verdict       verify.Verdict   `json:"verdict"`
		Reason        string           `json:"reason,omitempty"`
		RowsSource    uint64           `json:"rows_source"`
		RowsTarget    uint64           `json:"rows_target"`
		RowsDifferent uint64           `json:"rows_different"`
		AtLeast       bool             `json:"at_least,omitempty"`
		RowsUnsettled uint64           `json:"rows_unsettled"`
		TookMS        int64            `json:"took_ms"`
		Differences   []differenceJSON `json:"differences"`
	}
	differenceJSON struct {
		Key        []cellJSON   `json:"key,omitempty"`
		RowsSource int          `json:"rows_source"`
		RowsTarget int          `json:"rows_target"`
		Columns    []columnJSON `json:"columns,omitempty"`
	}
	cellJSON struct {
		Column string  `json:"column"`
		Value  *string `json:"value"` // null is NULL
	}
	columnJSON struct {
		Column string `json:"column"`
		Source any    `json:"source,omitempty"` // *string: nil is NULL, written as null; absent if it is hidden
		Target any    `json:"target,omitempty"`
	}
	notComparedJSON struct {
		Schema string `json:"schema"`
		Name   string `json:"name"`
		Kind   string `json:"kind"`
	}
)

func (v verifyView) json() verifyJSON {
	out := verifyJSON{
		Verdict: v.Verdict(), Source: v.Source, Target: v.Target, Position: v.Position, Began: v.Began.UTC(), TookMS: v.Took.Milliseconds(),
		Tables: []tableJSON{}, NotCompared: []notComparedJSON{},
	}
	for _, t := range v.Tables {
		out.RowsSource += t.SourceRows
		out.RowsTarget += t.TargetRows
		out.RowsDifferent += t.Different
		out.RowsUnsettled += t.Unsettled
		out.Tables = append(out.Tables, v.tableJSON(t))
	}
	for _, s := range v.Skipped {
		out.NotCompared = append(out.NotCompared, notComparedJSON{s.Schema, s.Table, s.Kind})
	}
	return out
}

func (v verifyView) tableJSON(t verify.TableReport) tableJSON {
	out := tableJSON{
		Schema: t.Schema, Table: t.Table, Verdict: t.Verdict, Reason: t.Reason, RowsSource: t.SourceRows, RowsTarget: t.TargetRows,
		RowsDifferent: t.Different, AtLeast: t.AtLeast, RowsUnsettled: t.Unsettled, TookMS: t.Took.Milliseconds(), Differences: []differenceJSON{},
	}
	for _, d := range t.Differences {
		one := differenceJSON{RowsSource: d.Source, RowsTarget: d.Target}
		for _, c := range v.key(d) {
			one.Key = append(one.Key, cellJSON{c.Column, valueJSON(c.Value)})
		}
		for _, c := range d.Columns {
			column := columnJSON{Column: c.Column}
			if !v.hideValues {
				column.Source, column.Target = valueJSON(c.Source), valueJSON(c.Target)
			}
			one.Columns = append(one.Columns, column)
		}
		out.Differences = append(out.Differences, one)
	}
	return out
}

func valueJSON(value []byte) *string {
	text, ok := verify.Text(value)
	if !ok {
		return nil
	}
	return &text
}

// key is what a row is named by; a row without a key is named by all its values, which may be hidden.
func (v verifyView) key(d verify.Difference) []verify.Cell {
	if v.hideValues && !d.Named {
		return nil
	}
	return d.Key
}

// fewTables is up to how many tables all are listed; of more, those that are equal are counted only.
const fewTables = 40

// text prints the report for a person.
func (v verifyView) text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "source %s\ntarget %s\n", v.Source, v.Target)
	if v.Position != "" {
		fmt.Fprintf(&b, "both at %s\n", v.Position)
	}
	b.WriteByte('\n')
	v.writeTables(&b)
	v.writeSkipped(&b)
	for _, t := range v.Tables {
		v.writeDifferences(&b, t)
	}
	fmt.Fprintf(&b, "\n%s\n", v.summary())
	_, err := io.WriteString(w, b.String())
	return err
}

func (v verifyView) writeTables(b *strings.Builder) {
	table := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	equal := 0
	for _, t := range v.Tables {
		if t.Verdict == verify.Same && len(v.Tables) > fewTables {
			equal++
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", t.Name, rowsText(t), finding(t))
	}
	_ = table.Flush()
	if equal > 0 {
		fmt.Fprintf(b, "%s tables are equal.\n", thousands(int64(equal)))
	}
}

func rowsText(t verify.TableReport) string {
	switch {
	case t.SourceRows == t.TargetRows && t.SourceRows == 0 && t.Reason != "":
		return "–"
	case t.SourceRows == t.TargetRows:
		return thousands(int64(t.SourceRows)) + " rows"
	}
	return thousands(int64(t.SourceRows)) + " and " + thousands(int64(t.TargetRows)) + " rows"
}

// finding is what there is to say of a table.
func finding(t verify.TableReport) string {
	var parts []string
	if t.Different > 0 {
		parts = append(parts, differText(t))
	}
	if t.Unsettled > 0 {
		parts = append(parts, plural(t.Unsettled, "row")+" kept changing")
	}
	if t.Reason != "" {
		parts = append(parts, t.Reason)
	}
	if len(parts) == 0 {
		return string(t.Verdict)
	}
	return strings.Join(parts, "; ")
}

func differText(t verify.TableReport) string {
	text := plural(t.Different, "row") + " differ"
	if t.Different == 1 {
		text += "s"
	}
	if t.AtLeast {
		text = "at least " + text
	}
	return text
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(int64(n)) + " " + what + "s"
}

func (v verifyView) writeSkipped(b *strings.Builder) {
	if len(v.Skipped) == 0 {
		return
	}
	names := make([]string, len(v.Skipped))
	for i, s := range v.Skipped {
		names[i] = s.Kind + " " + s.Name.String()
	}
	more := ""
	if len(names) > fewTables {
		more = fmt.Sprintf(" and %d more", len(names)-fewTables)
		names = names[:fewTables]
	}
	fmt.Fprintf(b, "not compared: %s%s\n", strings.Join(names, ", "), more)
}

func (v verifyView) writeDifferences(b *strings.Builder, t verify.TableReport) {
	if len(t.Differences) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s: %s\n", t.Name, differText(t))
	for _, d := range t.Differences {
		fmt.Fprintf(b, "  %s\n", v.difference(d))
	}
	var shown uint64
	for _, d := range t.Differences {
		shown += max(1, uint64(max(d.Source, d.Target)-min(d.Source, d.Target)))
	}
	if t.Different > shown {
		fmt.Fprintf(b, "  and %s more (--limit)\n", thousands(int64(t.Different-shown)))
	}
}

func (v verifyView) difference(d verify.Difference) string {
	var parts []string
	for _, c := range v.key(d) {
		parts = append(parts, c.Column+"="+valueText(c.Value))
	}
	text := strings.Join(parts, " ")
	if text == "" {
		text = "a row without a key"
	}
	if !d.Named {
		return fmt.Sprintf("%s: %d on the source, %d on the target", text, d.Source, d.Target)
	}
	switch {
	case d.Target == 0:
		return text + ": only on the source"
	case d.Source == 0:
		return text + ": only on the target"
	}
	var columns []string
	for _, c := range d.Columns {
		if v.hideValues {
			columns = append(columns, c.Column)
			continue
		}
		columns = append(columns, fmt.Sprintf("%s %s → %s", c.Column, valueText(c.Source), valueText(c.Target)))
	}
	return text + ": " + strings.Join(columns, ", ")
}

var plainText = regexp.MustCompile(`^[\pL\pN_.:@/+-]+$`)

// valueText is a value in one line: bare where it is plain, else in quotes. NULL and 0x… are never in quotes.
func valueText(value []byte) string { return shownText(valueJSON(value)) }

func shownText(text *string) string {
	switch {
	case text == nil:
		return "NULL"
	case plainText.MatchString(*text) && *text != "NULL":
		return *text
	}
	return strconv.Quote(*text)
}

// summary is the answer in a sentence.
func (v verifyView) summary() string {
	var rows uint64
	for _, t := range v.Tables {
		rows += t.SourceRows
	}
	compared := fmt.Sprintf("%s of %s compared in %s", plural(rows, "row"), plural(uint64(len(v.Tables)), "table"), tookText(v.Took))
	switch v.Verdict() {
	case verify.Same:
		return "Equal: " + compared + "."
	case verify.Unsettled:
		return fmt.Sprintf("Unsettled: rows of %s kept changing, else nothing differs; %s.", plural(uint64(v.count(verify.Unsettled)), "table"), compared)
	case verify.Failed:
		return fmt.Sprintf("Incomplete: %s could not be read, else nothing differs; %s.", plural(uint64(v.count(verify.Failed)), "table"), compared)
	}
	return fmt.Sprintf("Different: %s; %s.", strings.Join(v.differ(), ", "), compared)
}

func tookText(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// differ says how many rows and tables differ, and what else there is.
func (v verifyView) differ() []string {
	var rows, unsettled, inRows, whole uint64
	for _, t := range v.Tables {
		rows += t.Different
		unsettled += t.Unsettled
		switch {
		case t.Different > 0:
			inRows++
		case t.Verdict == verify.Different:
			whole++
		}
	}
	var parts []string
	if rows > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s", plural(rows, "row"), plural(inRows, "table")))
	}
	if whole > 0 {
		parts = append(parts, plural(whole, "table")+" as a whole")
	}
	if unsettled > 0 {
		parts = append(parts, plural(unsettled, "row")+" kept changing")
	}
	if n := v.count(verify.Failed); n > 0 {
		parts = append(parts, plural(uint64(n), "table")+" could not be read")
	}
	return parts
}
