package schema

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"changeover/internal/server"
)

// Target is what the target can do, as far as definitions depend on it.
type Target struct {
	Flavor     server.Flavor // empty means MySQL
	Version    Version
	Aurora     bool
	Account    string          // user@host of the account that Changeover has there
	Collations map[string]bool // every collation that the target knows
	Accounts   map[string]bool // user@host of every account; nil if they can't be read
	// SetDefiner: the account may name another as an object's definer.
	// MissingDefiner: even one that doesn't exist.
	SetDefiner, MissingDefiner bool
	Super                      bool // the account has SUPER
	// Untouchable are the accounts with SYSTEM_USER, which nobody without it may name as definer;
	// empty if Changeover's account has it.
	Untouchable map[string]bool
}

// Version is a server's version, without what the vendor adds.
type Version struct{ Major, Minor, Patch int }

// AtLeast tells whether v is this version or a later one.
func (v Version) AtLeast(major, minor, patch int) bool {
	if v.Major != major {
		return v.Major > major
	}
	if v.Minor != minor {
		return v.Minor > minor
	}
	return v.Patch >= patch
}

// parseVersion reads 8.0.42 out of "8.0.42-log"; what isn't a number counts as 0.
func parseVersion(s string) Version {
	s, _, _ = strings.Cut(s, "-")
	var n [3]int
	for i, part := range strings.SplitN(s, ".", 3) {
		n[i], _ = strconv.Atoi(part)
	}
	return Version{n[0], n[1], n[2]}
}

// Inspect asks the target what it can do.
func Inspect(ctx context.Context, target *sql.DB) (*Target, error) {
	t, err := inspect(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("look at the target: %w", err)
	}
	return t, nil
}

func inspect(ctx context.Context, target *sql.DB) (*Target, error) {
	id, err := server.Identify(ctx, target)
	if err != nil {
		return nil, err
	}
	t := &Target{Flavor: id.Flavor, Version: parseVersion(id.Version), Aurora: id.Aurora != ""}
	if err := target.QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&t.Account); err != nil {
		return nil, err
	}
	t.Collations, err = collationsOf(ctx, target)
	if err != nil {
		return nil, err
	}
	t.Accounts, err = set(ctx, target, "SELECT CONCAT(User, '@', Host) FROM mysql.user")
	if serverCode(err) != 0 {
		err = nil // not for this account to read: then none is known to exist
	}
	if err != nil {
		return nil, err
	}
	if err := t.readGrants(ctx, target); err != nil {
		return nil, err
	}
	t.Untouchable, err = set(ctx, target, "SELECT CONCAT(USER, '@', HOST) FROM mysql.global_grants WHERE PRIV = 'SYSTEM_USER'")
	if serverCode(err) != 0 {
		err = nil // MySQL before 8.0.16, or not for this account to read
	}
	if t.Untouchable[t.Account] {
		t.Untouchable = nil
	}
	return t, err
}

// collationsOf lists a server's collations. MariaDB lists the newest ones without their charset, once
// for all, and their full names elsewhere.
func collationsOf(ctx context.Context, db *sql.DB) (map[string]bool, error) {
	known, err := set(ctx, db, "SELECT COLLATION_NAME FROM information_schema.COLLATIONS")
	if err != nil {
		return nil, err
	}
	full, err := set(ctx, db, "SELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY")
	if serverCode(err) != 0 {
		return known, nil // MySQL has no such column
	}
	for name := range full {
		known[name] = true
	}
	return known, err
}

// set reads a query's one column.
func set(ctx context.Context, q queryer, query string, args ...any) (map[string]bool, error) {
	names, err := collect(ctx, q, func(rows *sql.Rows, s *string) error { return rows.Scan(s) }, query, args...)
	if err != nil {
		return nil, err
	}
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m, nil
}

// readGrants looks for the privileges that definers need, in the account's own grants and in
// those of its active roles: Aurora's master user has most of its through rds_superuser_role.
func (t *Target) readGrants(ctx context.Context, target *sql.DB) error {
	conn, err := target.Conn(ctx) // active roles are the session's
	if err != nil {
		return err
	}
	defer conn.Close()
	var roles sql.NullString // MariaDB's way of saying NONE
	if err := conn.QueryRowContext(ctx, "SELECT CURRENT_ROLE()").Scan(&roles); err != nil {
		return err
	}
	show := "SHOW GRANTS FOR CURRENT_USER()"
	if roles.Valid && roles.String != "NONE" && t.Flavor != server.MariaDB { // there a role's rights are listed anyhow
		show += " USING " + roles.String
	}
	grants, err := set(ctx, conn, show)
	if err != nil {
		return err
	}
	for g := range grants {
		t.addGrant(g)
	}
	return nil
}

func (t *Target) addGrant(grant string) {
	privileges, where, ok := strings.Cut(grant, " ON ")
	if !ok || !strings.HasPrefix(where, "*.*") {
		return
	}
	for p := range strings.SplitSeq(strings.TrimPrefix(privileges, "GRANT "), ",") {
		switch p = strings.TrimSpace(p); p {
		case "SUPER", "SET_USER_ID", "SET USER": // these cover accounts that don't exist
			t.SetDefiner, t.MissingDefiner, t.Super = true, true, t.Super || p == "SUPER"
		case "ALL PRIVILEGES":
			t.SetDefiner, t.MissingDefiner, t.Super = true, true, true
		case "SET_ANY_DEFINER":
			t.SetDefiner = true
		case "ALLOW_NONEXISTENT_DEFINER":
			t.MissingDefiner = true
		}
	}
}
