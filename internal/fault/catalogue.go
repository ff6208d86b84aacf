package fault

// The rooms: 10xx configuration and connecting, 12xx what plan finds on the source, 13xx on the
// target, 14xx the stream, 15xx snapshot, 16xx apply, 17xx state and leases, 18xx the sandbox.
const (
	Config          Code = 1001
	ConfigUnknown   Code = 1002
	Password        Code = 1003
	Connect         Code = 1010
	Access          Code = 1011
	TLS             Code = 1012
	NoDatabase      Code = 1013
	SameServer      Code = 1014
	StreamStatement Code = 1401
	StreamImage     Code = 1402
	StreamEvent     Code = 1403
	StreamPurged    Code = 1404
	StreamIdentity  Code = 1405
	StreamDDL       Code = 1406
	StreamTable     Code = 1407
	RowType         Code = 1450
	SnapshotOrder   Code = 1501
	SnapshotLoad    Code = 1502
	ApplyRow        Code = 1601
	ApplyFull       Code = 1602
	LeaseHeld       Code = 1701
	LeaseLost       Code = 1702
)

// Catalogue lists every fault, in the order of the codes.
var Catalogue = []Entry{
	{Config, "the configuration has an impossible value", "", "Correct the file and start again."},
}
