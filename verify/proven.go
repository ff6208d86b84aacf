package verify

import (
	"encoding/json"

	"changeover/cdc/schedule"
)

// Proven is what a proof that is complete says of each table, as the ledger of a stream that goes the other
// way may begin with it (cdc.Options.Proven): every row compared, nothing due, nothing different. Nobody
// may have written since that proof; a table that does not look so is left out, and is compared again.
func (v *Verifier) Proven() map[schedule.Name][]byte {
	l := v.book()
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[schedule.Name][]byte{}
	for n, e := range l.tables {
		if !e.wholly() || len(e.due) > 0 || e.differences() > 0 || e.problem != "" || e.ended.IsZero() {
			continue
		}
		if text, err := json.Marshal(e.saved()); err == nil {
			out[schedule.Name(n)] = text
		}
	}
	return out
}
