package ledger

import "fmt"

// Kind is what a student, teacher or organiser does: one request.
type Kind uint8

// The kinds. Their numbers are in files: new ones go to the end.
const (
	None Kind = iota
	Guest
	Account
	SignIn
	Run
	HocStart
	HocFinish
	Join
	Section
	Feedback
	FeedbackSeen
	Project
	Save
	Record
	RecordSave
	RecordDelete
	Pair
	Event
	EventSave
	Curriculum
	Page
	Progress
	Sections
	Grid
	Feedbacks
	ReadProject
	ReadRecords
	ReadPairs
	Events
	kinds
)

// what a kind is called, and how many write statements it is in the platform's write path: an
// estimate, because only the platform counts them.
var facts = [kinds]struct {
	name       string
	statements int
}{
	None: {"none", 0},
	// A new program is one statement more than one that somebody has run before; see Statements.
	Run:          {"run", 3},
	Guest:        {"guest", 2},   // user, session
	Account:      {"account", 2}, // user, session
	SignIn:       {"sign-in", 1}, // session
	HocStart:     {"hoc-start", 1},
	HocFinish:    {"hoc-finish", 1},
	Join:         {"join", 1},
	Section:      {"section", 1},
	Feedback:     {"feedback", 1},
	FeedbackSeen: {"feedback-seen", 1},
	Project:      {"project", 1},
	Save:         {"save", 1},
	Record:       {"record", 2}, // the table's last id, the record
	RecordSave:   {"record-save", 1},
	RecordDelete: {"record-delete", 1},
	Pair:         {"key-value", 1},
	Event:        {"event", 1},
	EventSave:    {"event-save", 1},
	Curriculum:   {"curriculum", 0},
	Page:         {"page", 0},
	Progress:     {"progress", 0},
	Sections:     {"sections", 0},
	Grid:         {"grid", 0},
	Feedbacks:    {"feedbacks", 0},
	ReadProject:  {"project-read", 0},
	ReadRecords:  {"records-read", 0},
	ReadPairs:    {"key-values-read", 0},
	Events:       {"events", 0},
}

func (k Kind) String() string {
	if k >= kinds {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return facts[k].name
}

// MarshalText writes the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (k *Kind) UnmarshalText(text []byte) error {
	for _, x := range Kinds() {
		if x.String() == string(text) {
			*k = x
			return nil
		}
	}
	return fmt.Errorf("%q is no kind of operation", text)
}

// Writes tells whether the kind changes anything.
func (k Kind) Writes() bool { return k.Statements() > 0 }

// Statements is about how many write statements the platform runs for it.
func (k Kind) Statements() int {
	if k >= kinds {
		return 0
	}
	return facts[k].statements
}

// Kinds lists all, in the order of their numbers.
func Kinds() []Kind {
	all := make([]Kind, 0, kinds-1)
	for k := None + 1; k < kinds; k++ {
		all = append(all, k)
	}
	return all
}
