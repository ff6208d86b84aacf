package bus

import (
	"encoding/json"
	"fmt"
	"regexp"

	"changeover/cutover/gate"
	"changeover/internal/fault"
)

// Orders go to all gates of a migration, answers to all coordinators of it: there may be two at
// once, when one of them thinks the other dead.
func orderSubject(migration string) string  { return "changeover." + migration + ".order" }
func answerSubject(migration string) string { return "changeover." + migration + ".answer" }

// A name of another form could be several levels of a subject, or all of them.
var migrationName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func checkMigration(name string) error {
	if !migrationName.MatchString(name) {
		return fault.New(fault.BusAddress, "%q can't be a migration's name on the bus: 1 to 64 of a-z, 0-9, _ and -", name)
	}
	return nil
}

// word is an answer as it goes over the bus: what a gate says, and what tells it from its older
// words.
//
// Said counts all words of a life, that is of one Bus value in one process, over all its links. A
// gate says "drained", its hold lapses and lets writes in, the renewal comes and it says "held":
// if "drained" comes last, on the way through another server of the cluster, the coordinator must
// not believe that nobody is inside.
type word struct {
	gate.Answer
	Life string `json:"life"`
	Link uint64 `json:"link"`           // the link's number in this life
	Said uint64 `json:"said"`           // grows with each word of this life
	Gone bool   `json:"gone,omitempty"` // the last word: the gate has left
}

// most is the largest message, in bytes. A gate may be inside with long statements; its state
// matters more than their text.
const most = 64 << 10

func (w word) encode() ([]byte, error) {
	text, err := json.Marshal(w)
	if err == nil && len(text) > most {
		w.Inside = nil
		text, err = json.Marshal(w)
	}
	if err == nil && len(text) > most {
		err = fmt.Errorf("an answer of %d bytes is too long for the bus", len(text))
	}
	return text, err
}
