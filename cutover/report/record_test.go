package report_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"changeover/cutover"
	"changeover/cutover/report"
)

// fields are the names that a type has in JSON, those of its parts too.
func fields(t reflect.Type, at string, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		fields(t.Elem(), at, into)
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return
		}
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || name == "-" {
				continue
			}
			into[at+name] = true
			fields(f.Type, at+name+".", into)
		}
	}
}

// The report reads what the coordinator writes, by its JSON: a field that is renamed there would vanish
// from the page without a word.
func TestARecordHasTheFieldsThatTheReportReads(t *testing.T) {
	written, read := map[string]bool{}, map[string]bool{}
	fields(reflect.TypeFor[cutover.Record](), "", written)
	fields(reflect.TypeFor[report.Record](), "", read)
	for name := range read {
		if !written[name] {
			t.Errorf("the report reads %q, and no record has it", name)
		}
	}
	if len(read) < 20 {
		t.Errorf("only %d fields: %v", len(read), read)
	}
}

func TestACoordinatorsRecordIsRead(t *testing.T) {
	document, err := json.Marshal(&cutover.Record{Attempt: 9, Kind: cutover.Rollback, Outcome: cutover.Committed, HoldMS: 212,
		Steps: []cutover.StepRecord{{Name: cutover.Hold.String(), StartMS: 1, TookMS: 2}}, Gates: []cutover.GateRecord{{Name: "a", FirstWriteMS: 210}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.ReadRecord(document)
	if err != nil || r.Attempt != 9 || r.Kind != "rollback" || r.Outcome != "committed" || r.Steps[0].Name != "hold" || r.Gates[0].FirstWriteMS != 210 {
		t.Errorf("%+v, %v", r, err)
	}
}
