// Package sandbox runs real MySQL and MariaDB servers on this machine, for trying out, for the
// demo and for the tests.
//
// In: a Spec (which role the server plays, which flavor). Out: a Server that listens on loopback,
// has accounts like the ones a migration meets, and goes away without a trace. The decision that
// matters: nothing needs to be installed and nothing needs root. Where the machine has no
// server of its own, Debian's packages are unpacked into the user's cache and run with the
// libraries of that folder.
//
// The package depends on nothing of the product, so that any package's tests may use it.
package sandbox

// Flavor is the kind of server.
type Flavor string

// The flavors.
const (
	MySQL   Flavor = "mysql"
	MariaDB Flavor = "mariadb"
)

// Role is the part that a server plays in a migration; it decides which accounts it has.
type Role string

// The roles.
const (
	Source Role = "source"
	Target Role = "target"
)

// Account is a user name that a sandbox server knows.
type Account string

// The accounts. A source has Root, Changeover, RDSLike and App; a target Root, Admin and App.
const (
	Root       Account = "root"       // everything; for the harness, not for the product
	Changeover Account = "changeover" // what the admin of a server of one's own grants to Changeover
	RDSLike    Account = "rdslike"    // what the master user of RDS has: no SUPER, no SET GLOBAL
	Admin      Account = "admin"      // Aurora's master user
	App        Account = "app"        // an application: reads, writes and DDL outside the system's databases
)

// Step is how far the unpacking of a package set has come.
type Step struct {
	What          string // the package set and suite: "mysql from Debian sid"
	Doing         string // "downloading", "unpacking"
	Packages      int    // packages done
	PackagesTotal int
	Bytes         int64 // bytes done
	BytesTotal    int64
}

// Progress hears of each Step, from one goroutine at a time; nil is silent.
type Progress func(Step)

func (p Progress) tell(s Step) {
	if p != nil {
		p(s)
	}
}
