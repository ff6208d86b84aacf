package audit

import (
	"context"

	"changeover/platform/students/ledger"
)

// userRow is somebody.
type userRow struct {
	id    int64
	op    op
	kind  string
	login string
	lines int64
}

const selectUsers = "SELECT id, op_id, kind, COALESCE(login, ''), total_lines FROM users WHERE "

// people compares the users: each is there once, and is who the client was told. Somebody who was
// made and never acknowledged becomes one of the run's from here on.
func (a *auditor) people(ctx context.Context) error {
	seen := map[int64]bool{}
	take := func(scan func(...any) error) error {
		var u userRow
		if err := scan(&u.id, &u.op, &u.kind, &u.login, &u.lines); err != nil || seen[u.id] {
			return err
		}
		seen[u.id] = true
		a.report.Rows["users"]++
		a.person(u)
		return nil
	}
	if err := a.own(ctx, take, selectUsers+"id IN", ""); err != nil {
		return err
	}
	if err := a.during(ctx, take, selectUsers+"created_at"); err != nil {
		return err
	}
	// A guest whose work was claimed is the account's row now.
	claimed := map[int64]bool{}
	for _, op := range a.ofKinds(ledger.Account) {
		if op.found && op.User != 0 {
			claimed[op.User] = true
		}
	}
	for _, op := range a.ofKinds(ledger.Guest) {
		if claimed[op.Outcome.User] && seen[op.Outcome.User] {
			a.there(op, "users")
		}
	}
	return nil
}

func (a *auditor) person(u userRow) {
	known := a.match("users", u.op.UUID, ledger.Guest, ledger.Account)
	if known == nil {
		// Whoever played under another operation's id is still one of the run's users by number.
		a.find(Unexpected, "users", u.op.UUID, u.id, "user %d, a %s, was made by an operation that no client knows", u.id, u.kind)
		return
	}
	a.users[u.id] = true
	if want := known.Outcome.User; known.Acknowledged() && want != u.id {
		a.find(Wrong, "users.id", known.Op, u.id, "the client was told %d, the row is %d", want, u.id)
	}
	if known.Kind == ledger.Account && known.Name != u.login {
		a.find(Wrong, "users.login", known.Op, u.id, "the login is %q, not %q", u.login, known.Name)
	}
	if known.Kind == ledger.Guest && u.kind != "guest" {
		a.find(Wrong, "users.kind", known.Op, u.id, "a guest is a %s, and nobody claimed the work", u.kind)
	}
}

// sessions: whoever was signed in still is.
func (a *auditor) sessions(ctx context.Context) error {
	of := map[ledger.Digest]int64{}
	err := a.own(ctx, func(scan func(...any) error) error {
		var id []byte
		var user int64
		if err := scan(&id, &user); err != nil {
			return err
		}
		of[ledger.Digest(id)] = user
		a.report.Rows["sessions"]++
		return nil
	}, "SELECT LEFT(id, 20), user_id FROM sessions WHERE user_id IN", "")
	if err != nil {
		return err
	}
	for _, op := range a.ofKinds(ledger.Guest, ledger.Account, ledger.SignIn) {
		if !op.Acknowledged() {
			continue
		}
		switch user, ok := of[op.Digest]; {
		case !ok:
			a.find(Lost, "sessions", op.Op, op.Outcome.User, "the session of a %v is not there", op.Kind)
		case user != op.Outcome.User:
			a.find(Wrong, "sessions.user_id", op.Op, op.Outcome.User, "the session is user %d's, not %d's", user, op.Outcome.User)
		case op.Kind == ledger.SignIn:
			op.found = true
		}
	}
	return nil
}
