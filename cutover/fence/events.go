package fence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Event is an event that was found enabled, with what an ALTER EVENT would otherwise take from the
// session that runs it (tried: definer, character set of the client, collation; mode and time zone stay).
type Event struct {
	Schema    string `json:"schema"`
	Name      string `json:"name"`
	Definer   string `json:"definer"` // user@host
	Client    string `json:"client"`  // character_set_client: the event's body is bytes of it
	Collation string `json:"collation"`
}

func (e Event) String() string { return e.Schema + "." + e.Name }

// alter is the statement that sets the event's state. The definer is named, else it would become ours.
func (e Event) alter(state string) string {
	user, host := cutAccount(e.Definer)
	return fmt.Sprintf("/* changeover fence */ ALTER DEFINER = %s EVENT %s %s",
		Account{User: user, Host: host}.quoted(), server.Name(e.Schema, e.Name), state)
}

// cutAccount splits user@host at the last @: a user may have one in its name, a host none.
func cutAccount(account string) (user, host string) {
	at := strings.LastIndexByte(account, '@')
	if at < 0 {
		return account, ""
	}
	return account[:at], account[at+1:]
}

// chooseEvents lists the enabled events of the migration's databases, and says how they are stopped.
func (f *facts) chooseEvents(ctx context.Context, p *Plan) error {
	events, err := enabled(ctx, f.q, f.o.Databases)
	if err != nil {
		return err
	}
	p.Events = events
	p.Scheduler = p.Kind == ReadOnly && on(p.Found.EventScheduler) && f.may(f.scheduling()...)
	untouched := len(events) == 0 || p.Lasting == LastingPersist // where the scheduler is stopped
	if untouched && !f.o.DeadMan {
		return nil
	}
	problems, err := f.stopping(ctx, events)
	if err != nil {
		return err
	}
	if f.o.DeadMan {
		p.Alone = f.withoutDeadMan(p, problems)
		if p.DeadMan = p.Alone == ""; p.DeadMan {
			return nil // where they can't be stopped after all, the scheduler is: see stopForDeadMan
		}
	}
	if !untouched {
		p.Problems = append(p.Problems, problems...)
	}
	return nil
}

// stopping finds what is in the way of disabling events one by one.
func (f *facts) stopping(ctx context.Context, events []Event) (problems []Problem, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	accounts, err := f.accounts(ctx)
	if err != nil && !denied(err) {
		return nil, err
	}
	var foreign []Event
	for _, e := range events {
		if !f.grants.On(e.Schema, "EVENT") {
			problems = append(problems, blocks(fault.FenceEvent, "%s lacks EVENT on %s: %s can't be stopped", f.account, e.Schema, e))
		}
		if e.Definer != f.account {
			foreign = append(foreign, e)
		}
		if slices.ContainsFunc(accounts, func(k *known) bool { return k.protected && k.String() == e.Definer }) && !f.may("SYSTEM_USER") {
			problems = append(problems, blocks(fault.FenceEvent, "the definer of %s, %s, has SYSTEM_USER, and %s has not: it can't be stopped", e, e.Definer, f.account))
		}
	}
	if len(foreign) > 0 && !f.may(f.defining()...) {
		problems = append(problems, blocks(fault.FenceEvent, "%s may not name the definer (%s) of %s", f.account, f.defining()[0], names(foreign)))
	}
	return problems, nil
}

// enabled lists the enabled events of databases.
func enabled(ctx context.Context, q Session, databases []string) ([]Event, error) {
	rows, err := ask(ctx, q, `
		SELECT EVENT_SCHEMA AS event_schema, EVENT_NAME AS event_name, DEFINER AS definer,
			CHARACTER_SET_CLIENT AS client, COLLATION_CONNECTION AS collation
		FROM information_schema.EVENTS
		WHERE STATUS = 'ENABLED'
		ORDER BY EVENT_SCHEMA, EVENT_NAME`)
	var events []Event
	for _, r := range rows {
		if !slices.Contains(databases, r["event_schema"]) {
			continue
		}
		events = append(events, Event{Schema: r["event_schema"], Name: r["event_name"], Definer: r["definer"],
			Client: r["client"], Collation: r["collation"]})
	}
	if err != nil {
		err = fmt.Errorf("list the events: %w", err)
	}
	return events, err
}

// scheduling is what it takes to stop the event scheduler.
func (f *facts) scheduling() []string {
	if f.mysql(8, 0, 0) {
		return []string{"SYSTEM_VARIABLES_ADMIN", "SUPER"}
	}
	return []string{"SUPER"}
}

// defining is what it takes to name another account as a definer.
func (f *facts) defining() []string {
	switch {
	case f.maria(10, 5, 2):
		return []string{"SET USER", "SUPER"}
	case f.mysql(8, 2, 0):
		return []string{"SET_ANY_DEFINER", "SUPER"}
	case f.mysql(8, 0, 0):
		return []string{"SET_USER_ID", "SUPER"}
	}
	return []string{"SUPER"}
}

// setEvents brings the plan's events from one state into another, each by a session that is like the one
// it was made in. One that is gone, or is in neither state, is left alone.
func (p *Plan) setEvents(ctx context.Context, h *hand, from, statement string) (err error) {
	if len(p.Events) == 0 {
		return nil
	}
	events, err := p.eventsThatAre(ctx, h, from)
	if err != nil || len(events) == 0 {
		return err
	}
	restore, err := h.disguise(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	for _, e := range events {
		if err := h.setEvent(ctx, e, statement); err != nil && number(err) != erNoEvent {
			return fmt.Errorf("%s event %s: %w", strings.ToLower(statement), e, err)
		}
	}
	// One that can't be found may be gone. Or not.
	if events, err = p.eventsThatAre(ctx, h, from); err == nil && len(events) > 0 && statement == "DISABLE" {
		err = fault.New(fault.FenceEvent, "still enabled: %s", names(events))
	}
	return err
}

// eventsThatAre lists the plan's events that are in a state now.
func (p *Plan) eventsThatAre(ctx context.Context, h *hand, state string) ([]Event, error) {
	rows, err := ask(ctx, h.Helm, "SELECT EVENT_SCHEMA AS event_schema, EVENT_NAME AS event_name FROM information_schema.EVENTS WHERE STATUS = '"+state+"'")
	if err != nil {
		return nil, fmt.Errorf("look at the events: %w", err)
	}
	now := map[string]bool{}
	for _, r := range rows {
		now[r["event_schema"]+"."+r["event_name"]] = true
	}
	return slices.DeleteFunc(slices.Clone(p.Events), func(e Event) bool { return !now[e.String()] }), nil
}

// disguise readies the helm's session for being like others; restore makes it itself again.
func (h *hand) disguise(ctx context.Context) (restore func() error, err error) {
	var client, collation string
	if err := h.Helm.QueryRowContext(ctx, "SELECT @@character_set_client, @@collation_connection").Scan(&client, &collation); err != nil {
		return nil, err
	}
	return func() error {
		// Also after ctx has ended: what comes next on the helm must be understood.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceOfKill)
		defer cancel()
		return h.speak(ctx, client, collation)
	}, nil
}

func (h *hand) speak(ctx context.Context, client, collation string) error {
	_, err := h.Helm.ExecContext(ctx, "SET character_set_client = "+charset(client)+", collation_connection = "+charset(collation))
	return err
}

// charset keeps what is no name of a character set or a collation out of a statement.
func charset(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, name)
}

func (h *hand) setEvent(ctx context.Context, e Event, statement string) error {
	text, err := h.inCharset(ctx, e.alter(statement), e.Client)
	if err != nil {
		return err
	}
	if err := h.speak(ctx, e.Client, e.Collation); err != nil {
		return err
	}
	return h.act(ctx, text)
}

// inCharset is a statement in the bytes of the character set in which the server will read it. The server
// itself turns it; a name that the set doesn't have can't be written in it.
func (h *hand) inCharset(ctx context.Context, statement, client string) (string, error) {
	if !strings.ContainsFunc(statement, func(r rune) bool { return r > 127 }) || strings.HasPrefix(client, "utf8") {
		return statement, nil
	}
	in := "CONVERT(CONVERT(0x" + hex.EncodeToString([]byte(statement)) + " USING utf8mb4) USING " + charset(client) + ")"
	var bytes, back string
	if err := h.Helm.QueryRowContext(ctx, "SELECT HEX("+in+"), HEX(CONVERT("+in+" USING utf8mb4))").Scan(&bytes, &back); err != nil {
		return "", err
	}
	if !strings.EqualFold(back, hex.EncodeToString([]byte(statement))) {
		return "", fault.New(fault.FenceEvent, "its name can't be written in %s, in which it was made", client)
	}
	text, err := hex.DecodeString(bytes)
	return string(text), err
}
