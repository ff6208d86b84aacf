package balance

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// State is what the balancer thinks of a server.
type State struct {
	Server
	Status   string // UP, DOWN, DRAIN, MAINT; with a count while it is changing
	Requests int64  // sent to it since the balancer began
	Current  int    // under way there now
}

// Up tells whether the server gets new requests.
func (s State) Up() bool { return strings.HasPrefix(s.Status, "UP") }

// Drain sends nothing new to the server and returns when what it had is answered.
func (b *Balancer) Drain(ctx context.Context, name string) error {
	if err := b.set(name, "drain"); err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := b.state(name)
		if err != nil || s.Current == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("drain %s: %d requests are not answered: %w", name, s.Current, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Ready ends a Drain.
func (b *Balancer) Ready(name string) error { return b.set(name, "ready") }

func (b *Balancer) set(name, state string) error {
	if !isName(name) {
		return fmt.Errorf("%q is no server's name", name)
	}
	answer, err := b.ask("set server servers/" + name + " state " + state)
	if err == nil && strings.TrimSpace(answer) != "" {
		err = fmt.Errorf("%s", strings.TrimSpace(answer))
	}
	if err != nil {
		return fmt.Errorf("set server %s to %s: %w", name, state, err)
	}
	return nil
}

func (b *Balancer) state(name string) (State, error) {
	all, err := b.Servers()
	if err != nil {
		return State{}, err
	}
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
	}
	return State{}, fmt.Errorf("no server %s", name)
}

// Servers asks for the state of each server.
func (b *Balancer) Servers() ([]State, error) {
	text, err := b.ask("show stat servers 4 -1") // 4: servers only
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# ")))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("haproxy's statistics are not understood: %w", err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var all []State
	for _, row := range rows[1:] {
		if len(row) < len(rows[0]) {
			continue
		}
		s := State{Server: Server{Name: row[column["svname"]], Address: row[column["addr"]]}, Status: row[column["status"]]}
		s.Requests, _ = strconv.ParseInt(row[column["stot"]], 10, 64)
		s.Current, _ = strconv.Atoi(row[column["scur"]])
		all = append(all, s)
	}
	return all, nil
}

// ask sends one command to the admin socket.
func (b *Balancer) ask(command string) (string, error) {
	conn, err := net.DialTimeout("unix", b.socket(), time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}
