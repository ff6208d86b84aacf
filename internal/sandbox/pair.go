package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Pair is a throwaway source and target that outlive the command that made them. Everything it
// has is in one folder.
//
//	          Up                     Up done
//	(nothing) ───▶ Starting ─────────────────▶ Ready ──┐ a server ended: Up starts it again
//	    ▲             │ the command died: Up or Down    │ Down
//	    └─────────────┴─────────────────────────────────┘
//
// The state file is written before the first process starts, so there is never a server that
// no file tells of.
type Pair struct {
	Dir    string
	Source *Server
	Target *Server
	Made   time.Time
}

// phase is how far Up came.
type phase string

const (
	starting phase = "starting"
	ready    phase = "ready"
)

// pairState is the state file.
type pairState struct {
	Phase   phase         `json:"phase"`
	Made    time.Time     `json:"made"`
	Servers []serverState `json:"servers"`
}

type serverState struct {
	Role    Role   `json:"role"`
	Flavor  Flavor `json:"flavor"`
	Version string `json:"version,omitempty"`
	Port    int    `json:"port,omitempty"`
}

// ErrNoPair says that a folder has no sandbox.
var ErrNoPair = errors.New("no sandbox here")

// ErrInterrupted says that the command that made the sandbox died before it was ready; Up starts
// over, Down cleans up.
var ErrInterrupted = errors.New("the sandbox was left half made")

// ErrBusy says that another command is at work on the sandbox.
var ErrBusy = errors.New("another command is at work on this sandbox")

// owned are the entries of a pair's folder; Down removes these and nothing else.
var owned = []string{
	"source", "target", "changeover.yaml",
	"source.pw", "target.pw", "root.pw", "app.pw", "rdslike.pw", stateName, lockName,
}

const (
	stateName = "sandbox.json"
	lockName  = "sandbox.lock"
)

// Up makes the sandbox in dir: a source of that flavor and an Aurora stand-in. In a dir that has
// one it starts what doesn't run, data and ports as they were; after an interrupted Up it starts
// over. If it fails, or ctx ends, it leaves nothing running.
func Up(ctx context.Context, dir string, source Flavor, progress Progress) (*Pair, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l, err := lockPair(dir)
	if err != nil {
		return nil, err
	}
	defer l.unlock()

	state, err := readState(dir)
	switch {
	case err == nil && state.Phase == ready:
		return revive(ctx, dir, state, source, progress)
	case err != nil && !errors.Is(err, ErrNoPair):
		return nil, err
	case err == nil: // left half made
		if err := clean(dir, stateName, lockName); err != nil {
			return nil, err
		}
	default:
		if err := refuseForeign(dir); err != nil {
			return nil, err
		}
	}
	p, err := makePair(ctx, dir, source, progress)
	if err != nil {
		return nil, errors.Join(err, clean(dir))
	}
	return p, nil
}

// refuseForeign keeps us off a folder that holds somebody else's files under our names: Down
// would delete them.
func refuseForeign(dir string) error {
	for _, name := range owned {
		if name != lockName && exists(filepath.Join(dir, name)) {
			return fmt.Errorf("%s is not a sandbox, but has a %s: choose another folder", dir, name)
		}
	}
	return nil
}

func lockPair(dir string) (*lockFile, error) {
	l, err := tryLock(filepath.Join(dir, lockName))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%s: %w", dir, ErrBusy)
	}
	return l, err
}

// makePair makes both servers.
func makePair(ctx context.Context, dir string, source Flavor, progress Progress) (*Pair, error) {
	state := &pairState{Phase: starting, Made: time.Now().UTC().Truncate(time.Second), Servers: []serverState{
		{Role: Source, Flavor: source},
		{Role: Target, Flavor: MySQL},
	}}
	if err := writeState(dir, state); err != nil {
		return nil, err
	}
	// One after the other: they may want the same download.
	servers := make([]*Server, len(state.Servers))
	for i, st := range state.Servers {
		s, err := prepare(ctx, filepath.Join(dir, string(st.Role)), st.spec(dir, progress))
		if err != nil {
			return nil, err
		}
		servers[i] = s
	}
	if err := startAll(ctx, servers); err != nil {
		return nil, err
	}
	for i, s := range servers {
		state.Servers[i].Port, state.Servers[i].Version = s.Port, s.Version
	}
	p := newPair(dir, state, servers)
	if err := p.createDatabase(ctx); err != nil {
		return nil, err
	}
	if err := p.writeConfig(); err != nil {
		return nil, err
	}
	state.Phase = ready
	return p, writeState(dir, state)
}

// revive starts those servers of a finished sandbox that don't run, as after a reboot.
func revive(ctx context.Context, dir string, state *pairState, source Flavor, progress Progress) (*Pair, error) {
	if have := state.Servers[0].Flavor; have != source {
		return nil, fmt.Errorf("the sandbox in %s has a %s source, not %s: take it down first, or choose another folder", dir, have, source)
	}
	p := attach(dir, state)
	var stopped []*Server
	for i, s := range []*Server{p.Source, p.Target} {
		if s.PID() != 0 {
			continue
		}
		st := state.Servers[i]
		s, err := prepare(ctx, s.Dir, st.spec(dir, progress))
		if err != nil {
			return nil, err
		}
		s.Port = st.Port
		stopped = append(stopped, s)
	}
	return p, startAll(ctx, stopped)
}

func startAll(ctx context.Context, servers []*Server) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range servers {
		g.Go(func() error { return s.start(ctx, nil) })
	}
	return g.Wait()
}

func (st serverState) spec(dir string, progress Progress) Spec {
	return Spec{
		Role: st.Role, Flavor: st.Flavor, Aurora: st.Role == Target,
		Lifetime: Detached, Secrets: dir, Progress: progress,
	}
}

// attach describes servers that another process started; it needs no program.
func attach(dir string, state *pairState) *Pair {
	var servers []*Server
	for _, st := range state.Servers {
		home := filepath.Join(dir, string(st.Role))
		servers = append(servers, &Server{
			Role: st.Role, Flavor: st.Flavor, Version: st.Version, Host: "127.0.0.1", Port: st.Port,
			Socket: socketPath(home), Dir: home, DataDir: filepath.Join(home, "data"), spec: st.spec(dir, nil),
		})
	}
	return newPair(dir, state, servers)
}

func newPair(dir string, state *pairState, servers []*Server) *Pair {
	return &Pair{Dir: dir, Made: state.Made, Source: servers[0], Target: servers[1]}
}

// Find returns the sandbox in dir, whether or not its servers run. It returns ErrNoPair or
// ErrInterrupted where there is none or half of one, and ErrBusy while one is being made.
func Find(dir string) (*Pair, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	state, err := readState(dir)
	if err != nil {
		return nil, err
	}
	if state.Phase == ready {
		return attach(dir, state), nil
	}
	l, err := lockPair(dir)
	if err != nil {
		return nil, err
	}
	l.unlock()
	return nil, fmt.Errorf("%s: %w", dir, ErrInterrupted)
}

// Down stops the servers of the sandbox in dir, or what an interrupted Up left of them, and
// deletes the data. Files that aren't the sandbox's stay. It returns ErrNoPair if there is none.
func Down(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := readState(dir); errors.Is(err, ErrNoPair) {
		return err // a state file that can't be read still says that the folder is ours
	}
	l, err := lockPair(dir)
	if err != nil {
		return err
	}
	defer l.unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return clean(dir)
}

// clean kills what runs under dir (its data is deleted with it, so an orderly end is no use) and
// removes the sandbox's files but those in keep. The state file goes when the rest is gone, so
// that a clean that was interrupted can be repeated.
func clean(dir string, keep ...string) error {
	killAll(serversUnder(dir))
	if err := removeSockets(dir); err != nil {
		return err
	}
	for _, name := range owned {
		if slices.Contains(keep, name) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if len(keep) == 0 {
		_ = os.Remove(dir) // only if nothing else is in it
	}
	return nil
}

func readState(dir string) (*pairState, error) {
	text, err := os.ReadFile(filepath.Join(dir, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoPair)
	}
	if err != nil {
		return nil, err
	}
	state := &pairState{}
	if err := json.Unmarshal(text, state); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, stateName), err)
	}
	if len(state.Servers) != 2 {
		return nil, fmt.Errorf("%s doesn't name two servers", filepath.Join(dir, stateName))
	}
	return state, nil
}

// writeState replaces the file in one step.
func writeState(dir string, state *pairState) error {
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, stateName)
	if err := os.WriteFile(path+".part", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// createDatabase makes the database that the configuration names.
func (p *Pair) createDatabase(ctx context.Context) error {
	db, err := p.Source.Open(Root, "")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "CREATE DATABASE "+firstDatabase)
	return err
}

// firstDatabase is the database that a new sandbox's source has.
const firstDatabase = "school"

// ConfigFile is the sandbox's ready configuration, for `changeover plan -c`.
func (p *Pair) ConfigFile() string { return filepath.Join(p.Dir, "changeover.yaml") }

// writeConfig writes the configuration. Its ports are free ones, so that several sandboxes can
// run side by side.
func (p *Pair) writeConfig() error {
	bus, err := freePort()
	if err != nil {
		return err
	}
	control, err := freePort()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`# Made by changeover sandbox up; changeover sandbox down removes it.
migration: %[1]s
source: {host: %[2]s, port: %[3]d, user: %[4]s, password_file: source.pw}
target: {host: %[5]s, port: %[6]d, user: %[7]s, password_file: target.pw}
databases: [%[1]s]
bus: {listen: 127.0.0.1:%[8]d}
listen: 127.0.0.1:%[9]d
`, firstDatabase, p.Source.Host, p.Source.Port, Changeover, p.Target.Host, p.Target.Port, Admin, bus, control)
	return os.WriteFile(p.ConfigFile(), []byte(text), 0o600)
}

// Client is the command-line client that speaks with the server.
func (s *Server) Client(ctx context.Context, progress Progress) (Tool, error) {
	name := "mysql"
	if s.Flavor == MariaDB {
		name = "mariadb"
	}
	return FindTool(ctx, name, progress)
}
