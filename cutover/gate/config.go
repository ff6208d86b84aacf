package gate

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"
)

// Side is one of the two servers, by the role that it has in the configuration for good.
type Side string

// The sides.
const (
	Source Side = "source"
	Target Side = "target"
)

func (s Side) valid() bool { return s == Source || s == Target }

func (s Side) other() Side {
	if s == Source {
		return Target
	}
	return Source
}

// Server is one of the two servers.
type Server struct {
	Connector driver.Connector
	Address   string // host:port, for display and for the coordinator
}

// Config is a gate's.
type Config struct {
	// Migration is the migration's name, as in the coordinator's configuration.
	Migration string
	// Name tells this gate from others; default host:pid:random.
	Name string

	Source, Target Server
	// First is where the application goes while neither server has a route row; default Source.
	First Side

	// Connections is how many each of the two pools has, open and idle; default 32. An eighth of
	// them is left to reads: writes that were held are let go at once, and would take all. Up to two more on each
	// server read the route rows.
	Connections int
	// Queue is how many writes wait at most; default 10,000. Beyond it they fail with ErrQueueFull.
	Queue int
	// Follow is how often the route rows are read when nothing else is the reason; default 5 s.
	Follow time.Duration

	// Bus connects to the coordinator; nil: the gate follows the route rows alone.
	Bus Bus
	// Number tells the number of a server's error. The default finds a field `Number uint16`, as
	// go-sql-driver's errors have it, anywhere in the error's chain.
	Number func(error) (code uint16, ok bool)

	// OnHold, OnRelease and OnFlip are for background jobs and leaders. They are called one after the other by a
	// goroutine of their own, so a slow one delays neither hold nor release; what comes and goes while one runs is left out, but
	// the last state is always told. OnHold's ctx ends with the hold, the others' with the gate. After a flip OnFlip
	// comes first, then OnRelease.
	OnHold    func(ctx context.Context)
	OnRelease func(ctx context.Context)
	OnFlip    func(ctx context.Context, to Route)

	Log *slog.Logger // default: discarded
}

// Route is what a gate knows of the writer.
type Route struct {
	Side    Side
	Address string
	Epoch   uint64
	Held    bool // writes wait
	Waiting int
	Inside  int
}

// Errors of a gate.
var (
	// ErrQueueFull says that too many writes wait already. Nothing was done.
	ErrQueueFull = errors.New("too many writes wait at the gate")
	// ErrClosed says that the gate was closed. Nothing was done.
	ErrClosed = errors.New("the gate is closed")
	// ErrUnknown says that a COMMIT was sent and its answer lost: the write may have taken place, or may still do.
	ErrUnknown = errors.New("whether the write took place is not known")
	// ErrCancelled is the cause with which a hold ends what has been inside too long (--cancel-long). Write runs such a write again.
	ErrCancelled = errors.New("cancelled for the cutover")
)

// complete fills in what is left out.
func (c Config) complete() (Config, error) {
	if c.Migration == "" {
		return c, errors.New("gate: the migration has no name")
	}
	if c.Source.Connector == nil || c.Target.Connector == nil {
		return c, errors.New("gate: source and target need a connector each")
	}
	if c.First == "" {
		c.First = Source
	}
	if !c.First.valid() {
		return c, fmt.Errorf("gate: First is %q, neither source nor target", c.First)
	}
	if c.Connections == 0 {
		c.Connections = 32
	}
	if c.Queue == 0 {
		c.Queue = 10_000
	}
	if c.Follow == 0 {
		c.Follow = 5 * time.Second
	}
	if c.Connections < 0 || c.Queue < 0 || c.Follow < 0 {
		return c, errors.New("gate: Connections, Queue and Follow can't be negative")
	}
	if c.Name == "" {
		c.Name = fmt.Sprintf("%s:%d:%06x", hostname(), os.Getpid(), rand.N(1<<24))
	}
	if c.Number == nil {
		c.Number = numberField
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// writers is how many writes are let in at once.
func (c Config) writers() int {
	if c.Connections == 1 {
		return 1
	}
	return c.Connections - max(1, c.Connections/8)
}

func hostname() string {
	if h, err := os.Hostname(); err == nil {
		return h
	}
	return "unknown"
}
