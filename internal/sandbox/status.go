package sandbox

import (
	"errors"
	"path/filepath"
	"time"
)

// State is how a sandbox stands.
type State string

// The states.
const (
	StateNone        State = "none"        // there is none in the folder
	StateBusy        State = "busy"        // a command is making it now
	StateInterrupted State = "interrupted" // the command that made it died
	StateUp          State = "up"          // both servers run
	StateDegraded    State = "degraded"    // a server doesn't run; Up starts it again
)

// Status is what `changeover sandbox status --json` prints.
type Status struct {
	Dir     string         `json:"dir"`
	State   State          `json:"state"`
	Made    *time.Time     `json:"made,omitempty"`
	Config  string         `json:"config,omitempty"`
	Servers []ServerStatus `json:"servers"`
}

// ServerStatus is one server of a Status.
type ServerStatus struct {
	Role    Role   `json:"role"`
	Flavor  Flavor `json:"flavor"`
	Version string `json:"version"`
	Host    string `json:"host"`
	Port    int    `json:"port"`
	Running bool   `json:"running"`
	PID     int    `json:"pid,omitempty"`
	Log     string `json:"log"`
}

// Look tells how the sandbox in dir stands.
func Look(dir string) (Status, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Status{}, err
	}
	status := Status{Dir: abs, Servers: []ServerStatus{}}
	p, err := Find(dir)
	switch {
	case errors.Is(err, ErrNoPair):
		status.State = StateNone
		return status, nil
	case errors.Is(err, ErrBusy):
		status.State = StateBusy
		return status, nil
	case errors.Is(err, ErrInterrupted):
		status.State = StateInterrupted
		return status, nil
	case err != nil:
		return Status{}, err
	}
	status.State, status.Made, status.Config = StateUp, &p.Made, p.ConfigFile()
	for _, s := range []*Server{p.Source, p.Target} {
		pid := s.PID()
		if pid == 0 {
			status.State = StateDegraded
		}
		status.Servers = append(status.Servers, ServerStatus{
			Role: s.Role, Flavor: s.Flavor, Version: s.Version, Host: s.Host, Port: s.Port,
			Running: pid != 0, PID: pid, Log: s.LogFile(),
		})
	}
	return status, nil
}
