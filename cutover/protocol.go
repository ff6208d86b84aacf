package cutover

// Kind is what an attempt is for.
type Kind string

// The kinds of an attempt.
const (
	Rehearse Kind = "rehearse" // as far as a cutover goes without commit, then undone
	Cutover  Kind = "cutover"  // the role passes from the source to the target
	Rollback Kind = "rollback" // and back
)

// Step is one step of an attempt. They follow each other in this order.
//
//	preflight ─ hold ─ fence ─ drain ─ prove ─ arm ─ commit ─ open ─ flip ─ reverse
//	    │        └──────┴───────┴───────┴──────┴───────┘        └─────┴───────┘
//	  refuse            what fails here is undone             forward only, repeated
//	                                                           by any coordinator
type Step uint8

// The steps.
const (
	Preflight Step = iota // all that would stop it later, at once; nothing is touched
	Hold                  // every gate lets no write transaction in, and drains those inside
	Fence                 // the old writer refuses the application's writes
	Drain                 // the stream passes the last of them
	Prove                 // what is due is compared
	Arm                   // the new writer gets what it needs to be one; the way back begins here
	Commit                // the register on the old writer: the point of no return
	Open                  // the new writer takes writes
	Flip                  // the gates go over, and let go
	Reverse               // the stream runs the other way
	steps
)

// Act is a statement, or a few, by which a step changes a server.
type Act string

// The acts. Those of undoing come with whichever step failed.
const (
	ProbeOpen      Act = "probe.open"
	ObjectsAhead   Act = "objects.ahead"
	DeadManSet     Act = "deadman.set"
	RegisterOpen   Act = "register.open"
	FenceIntent    Act = "fence.intent"
	FenceRaise     Act = "fence.raise"
	FenceNow       Act = "fence.now"
	ObjectsArm     Act = "objects.arm"
	FenceKeep      Act = "fence.keep"
	FenceLasting   Act = "fence.lasting"
	RegisterCommit Act = "register.commit"
	RouteNew       Act = "route.new"
	FenceLiftNew   Act = "fence.lift.new"
	ObjectsEnable  Act = "objects.enable"
	RouteOld       Act = "route.old"
	ObjectsAside   Act = "objects.aside"
	RegisterAbort  Act = "register.abort"
	ObjectsDisarm  Act = "objects.disarm"
	FenceLift      Act = "fence.lift"
	ShieldIntent   Act = "shield.intent"
	ShieldRaise    Act = "shield.raise"
	RecordKeep     Act = "record.keep"
	ProbeClose     Act = "probe.close"
	DeadManDrop    Act = "deadman.drop"
)

// on says whose server an act changes.
type on uint8

const (
	onOld on = iota
	onNew
)

// point is an act in the table: where a coordinator may die, before it, in it and after it.
type point struct {
	act Act
	on  on
}

// protocol is the table of the steps: what each changes, and what becomes of an attempt that fails in
// it. Tests that kill the coordinator take their points from here. Ending sessions (the accounts' fence
// in drain, the old writer's in reverse) is no point: it changes nothing that would have to be undone.
var protocol = [steps]struct {
	name   string
	points []point
	undone bool // a failure is undone; else refused (preflight), or repeated until it is done
}{
	Preflight: {"preflight", []point{{ProbeOpen, onOld}, {ProbeOpen, onNew}, {ObjectsAhead, onNew}, {DeadManSet, onOld}}, true},
	Hold:      {"hold", []point{{RegisterOpen, onOld}}, true},
	Fence:     {"fence", []point{{FenceIntent, onOld}, {FenceRaise, onOld}, {FenceNow, onOld}}, true},
	Drain:     {"drain", nil, true},
	Prove:     {"prove", nil, true},
	Arm:       {"arm", []point{{ObjectsArm, onNew}, {FenceKeep, onOld}, {FenceLasting, onOld}}, true},
	Commit:    {"commit", []point{{RegisterCommit, onOld}}, true},
	Open:      {"open", []point{{RouteNew, onNew}, {FenceLiftNew, onNew}}, false},
	Flip:      {"flip", []point{{ObjectsEnable, onNew}}, false},
	Reverse:   {"reverse", []point{{ObjectsAside, onOld}, {RouteOld, onOld}, {DeadManDrop, onOld}}, false},
}

// undoing is what undo changes, in its order.
var undoing = []point{{RegisterAbort, onOld}, {ObjectsDisarm, onNew}, {FenceLift, onOld}, {DeadManDrop, onOld}}

func (s Step) String() string { return protocol[s].name }
