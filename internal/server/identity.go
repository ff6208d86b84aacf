package server

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Identity is who a server is, and since when. A change of either means that what is known of it
// in memory can no longer be trusted.
type Identity struct {
	Flavor  Flavor
	Version string // as the server says it: 9.7.4, 10.11.19-MariaDB-…
	UUID    string // server_uuid; on MariaDB, which has none, host:port:server_id
	Started time.Time
	Aurora  string // aurora_version, else empty
}

// Same tells whether a and b are one server: a migration of a server into itself. A copied data
// directory brings its server_uuid along, so it counts as the same until auto.cnf is removed;
// replication between the two would not work either.
func Same(a, b Identity) bool {
	return a.Flavor == b.Flavor && a.UUID != "" && a.UUID == b.UUID
}

// Restarted tells whether now is not the incarnation that before was: another server, or started
// again. The server tells its uptime in whole seconds, so two readings of one start differ a little.
func Restarted(before, now Identity) bool {
	return !Same(before, now) || now.Started.Sub(before.Started).Abs() > 3*time.Second
}

// Identify asks a server who it is.
func Identify(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (Identity, error) {
	var id Identity
	var now, up int64
	// The server's own clock: a step of this machine's clock must not look like a restart.
	err := db.QueryRowContext(ctx, "SELECT VERSION(), UNIX_TIMESTAMP()").Scan(&id.Version, &now)
	if err != nil {
		return id, fmt.Errorf("ask the server's version: %w", err)
	}
	v, err := ParseVersion(id.Version)
	if err != nil {
		return id, err
	}
	id.Flavor = v.Flavor
	uuid := "SELECT @@GLOBAL.server_uuid"
	if id.Flavor == MariaDB {
		uuid = "SELECT CONCAT(@@GLOBAL.hostname, ':', @@GLOBAL.port, ':', @@GLOBAL.server_id)"
	}
	if err := db.QueryRowContext(ctx, uuid).Scan(&id.UUID); err != nil {
		return id, fmt.Errorf("ask the server's identity: %w", err)
	}
	var name string
	if err := db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'").Scan(&name, &up); err != nil {
		return id, fmt.Errorf("ask the server's uptime: %w", err)
	}
	id.Started = time.Unix(now-up, 0)
	if id.Flavor == MySQL { // no row on a MySQL that isn't Aurora
		_ = db.QueryRowContext(ctx, "SHOW GLOBAL VARIABLES LIKE 'aurora_version'").Scan(&name, &id.Aurora)
	}
	return id, nil
}
