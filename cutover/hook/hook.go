// Package hook takes endpoints along that are not gates: a proxy, a record in DNS, whatever a script
// can reach.
//
// In: one entry of the configuration's cutover.hooks, and the steps of an attempt. Out: the endpoint
// holds, changes servers, goes on. The decision that matters: a hook is comfort, like a gate. The
// fence keeps the old writer from being written to, so a hook that fails, or is late, costs
// applications errors and never a row; and each step may be done twice, because the next coordinator
// repeats what a dead one had begun.
//
//	hold ──→ flip ──→ release     the writer role passed
//	   └────────────→ release     it was undone
//
// Some endpoints hold: what comes while they do waits. The others fail fast: from the fence until the
// flip their applications' writes are refused, with error 1290 or by a connection that closes.
// docs/hooks.md says which is which.
package hook

import (
	"context"
	"errors"
	"strings"
	"time"

	"changeover/internal/fault"
)

// Step is what a hook is asked to do.
type Step string

// The steps, as scripts are told them.
const (
	Check   Step = "check"   // before anything: can you? It changes nothing
	Hold    Step = "hold"    // nothing new goes to the old writer
	Flip    Step = "flip"    // what comes from now on goes to the new one
	Release Step = "release" // go on, to wherever it goes by now
)

// Event is the attempt that a step belongs to.
type Event struct {
	Migration      string
	Attempt, Epoch uint64
	Kind           string // cutover, rollback, rehearse
	Step           string // of the protocol; what the hook is asked for is the method
	From, To       string // sides, "source" or "target": who gives the role away, who gets it
	FromAddress    string // host:port
	ToAddress      string
}

// Hook is one endpoint. Each method ends with ctx, returns nil when the endpoint has done it, and may be
// called again for the same attempt. Methods of one hook are not called at the same time.
type Hook interface {
	Name() string
	// Holds tells whether what comes in a hold waits; otherwise it fails fast.
	Holds() bool
	// Check asks whether the steps would work, and changes nothing. It is called before the first of them.
	Check(ctx context.Context) error
	Hold(ctx context.Context, e Event) error
	Flip(ctx context.Context, e Event) error
	Release(ctx context.Context, e Event) error
}

// Config is one entry of cutover.hooks. Exactly one of Exec and HAProxy is set.
type Config struct {
	Name    string        `yaml:"name"`
	Timeout time.Duration `yaml:"timeout"` // of one step; 0: 2 s

	Exec        []string `yaml:"exec"`        // program and arguments; no shell is in between
	Holds       bool     `yaml:"holds"`       // of exec: the script's word that what comes in a hold waits
	Environment []string `yaml:"environment"` // of exec: names of variables that the script gets beside its own

	HAProxy *HAProxy `yaml:"haproxy"`
}

const (
	defaultTimeout = 2 * time.Second
	mostTimeout    = time.Minute
)

// New makes the hook of an entry. An error (CO-2040) says what is wrong with it.
func New(c Config) (Hook, error) {
	if err := c.check(); err != nil {
		return nil, fault.New(fault.HookConfig, "cutover.hooks %q: %w", c.Name, err)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.HAProxy != nil {
		return newBalancer(c)
	}
	return newScript(c), nil
}

func (c Config) check() error {
	switch {
	case !isName(c.Name):
		return errors.New("name must be of letters, digits, . _ and -")
	case c.Timeout < 0 || c.Timeout > mostTimeout:
		return errors.New("timeout must be at most 1m")
	case (len(c.Exec) > 0) == (c.HAProxy != nil):
		return errors.New("it must have either exec or haproxy")
	case c.HAProxy != nil && (c.Holds || len(c.Environment) > 0):
		return errors.New("holds and environment are for exec; whether HAProxy holds is found out")
	case len(c.Exec) > 0 && c.Exec[0] == "":
		return errors.New("exec has no program")
	}
	for _, name := range c.Environment {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.HasPrefix(name, prefix) {
			return errors.New("environment has the names of variables, without values; those that begin with " + prefix + " are Changeover's")
		}
	}
	return nil
}

// isName keeps whatever could end a command of HAProxy's out of it.
func isName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return s != "" && strings.Trim(s, allowed) == ""
}
