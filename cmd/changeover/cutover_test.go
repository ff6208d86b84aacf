package main

import (
	"strings"
	"testing"
	"time"

	"changeover/cutover"
	"changeover/cutover/helm"
	"changeover/internal/fault"
)

func TestAnAttemptIsToldWithItsReasons(t *testing.T) {
	refused := recordText(&cutover.Record{Migration: "school", Kind: cutover.Cutover, Outcome: cutover.Refused, Reasons: []string{"the target is 3s behind"}})
	if !strings.HasPrefix(refused, "cutover of school: refused ") || !strings.Contains(refused, "because the target is 3s behind") {
		t.Errorf("a refused one reads\n%s", refused)
	}
	passed := recordText(&cutover.Record{Migration: "school", Attempt: 7, Kind: cutover.Rollback, Outcome: cutover.Committed, New: helm.Source, Epoch: 3, HoldMS: 120})
	if !strings.HasPrefix(passed, "rollback 7 of school: committed; the source is the writer (epoch 3)") || !strings.Contains(passed, "hold    120 ms") {
		t.Errorf("one that passed reads\n%s", passed)
	}
}

func TestTheMomentOfACutover(t *testing.T) {
	now := time.Date(2026, 11, 26, 14, 0, 0, 0, time.FixedZone("CET", 3600))
	for _, c := range []struct {
		at   string
		want string // empty: refused
	}{
		{"15:30", "2026-11-26T15:30:00+01:00"},
		{"03:30", "2026-11-27T03:30:00+01:00"}, // tomorrow
		{"14:00", "2026-11-27T14:00:00+01:00"}, // it is just that
		{"2026-11-26T14:00:00Z", "2026-11-26T14:00:00Z"},
		{"2026-11-26T10:00:00Z", ""}, // over
		{"soon", ""},
		{"25:00", ""},
	} {
		got, err := parseMoment(c.at, now)
		if c.want == "" {
			if !fault.Is(err, fault.Usage) {
				t.Errorf("%s: %v, %v", c.at, got, err)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("%s is %v, %v; want %s", c.at, got, err, c.want)
		}
	}
}
