package fence

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"database/sql"
	"fmt"
	"hash/fnv"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Probe is a plain account of Changeover's own that writes as an application does. Its connection is made
// before the hold, so that what is seen on it is what the application's open connections see. Not safe for
// concurrent use.
type Probe struct {
	endpoint  server.Endpoint // with the probe's account
	migration string
	account   Account
	maker     Session
	life      string // who the server is: a probe of another server would prove nothing
	mariadb   bool
	old       *sql.DB
}

// probeUser is the probe's account of a migration. Short enough for MySQL (32), and known to whoever comes
// after us: a lock or a leftover of it is undone by name.
func probeUser(migration string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(migration))
	return fmt.Sprintf("changeover_probe_%012x", h.Sum64()&(1<<48-1))
}

// OpenProbe makes the probe's account, with a password that nobody but this value knows, and connects.
// The table `_changeover`.`probe` must be there. Errors are fault.FenceProbe.
func OpenProbe(ctx context.Context, e server.Endpoint, s Session, o Options) (*Probe, error) {
	p := &Probe{endpoint: e, migration: o.Migration, maker: s, account: Account{User: probeUser(o.Migration), Host: "%"}}
	var err error
	if p.life, p.mariadb, err = lifeOf(ctx, s); err != nil {
		return nil, fmt.Errorf("ask who the server is: %w", err)
	}
	// All character classes: a policy for passwords may want each.
	password := "aA1-" + rand.Text()
	p.endpoint.User, p.endpoint.Password = p.account.User, password
	if err := p.makeAccount(ctx, password); err != nil {
		_ = p.Close(context.WithoutCancel(ctx))
		return nil, fault.New(fault.FenceProbe, "make the account %s: %w", p.account, err)
	}
	p.old, err = p.connect(ctx)
	if err != nil {
		_ = p.Close(context.WithoutCancel(ctx))
		return nil, fault.New(fault.FenceProbe, "connect as %s: %w", p.account, err)
	}
	return p, nil
}

func (p *Probe) makeAccount(ctx context.Context, password string) error {
	run := func(statement string) error {
		_, err := p.maker.ExecContext(ctx, "/* changeover probe */ "+statement)
		return err
	}
	if err := run("DROP USER IF EXISTS " + p.account.quoted()); err != nil { // of an attempt that died
		return err
	}
	create := "CREATE USER " + p.account.quoted()
	// MySQL writes a hash to its binlog, MariaDB what it is told. Only a server that validates passwords
	// must see this one.
	var err error
	if p.mariadb {
		err = run(create + " IDENTIFIED BY PASSWORD '" + nativeHash(password) + "'")
	}
	if n := number(err); !p.mariadb || n == erPasswordPolicy || n == erPasswordHash {
		err = run(create + " IDENTIFIED BY '" + password + "'")
	}
	if err != nil {
		return err
	}
	return run("GRANT SELECT, INSERT, UPDATE ON `_changeover`.`probe` TO " + p.account.quoted())
}

// nativeHash is what mysql_native_password stores of a password.
func nativeHash(password string) string {
	once := sha1.Sum([]byte(password))
	return fmt.Sprintf("*%X", sha1.Sum(once[:]))
}

// connect opens a pool of one connection, and sees that it leads to the server of the helm.
func (p *Probe) connect(ctx context.Context) (*sql.DB, error) {
	db, err := server.Open(p.endpoint, server.Session{Connections: 1})
	if err != nil {
		return nil, err
	}
	life, _, err := lifeOf(ctx, db)
	if err == nil && life != p.life {
		err = fmt.Errorf("%s leads to another server than the helm's", p.endpoint.Addr())
	}
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

func lifeOf(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (life string, mariadb bool, err error) {
	if err = q.QueryRowContext(ctx, "SELECT VERSION()").Scan(&life); err != nil {
		return "", false, err
	}
	mariadb = strings.Contains(life, "MariaDB")
	question := "SELECT @@GLOBAL.server_uuid"
	if mariadb {
		question = "SELECT CONCAT(@@GLOBAL.hostname, ':', @@GLOBAL.port, ':', @@GLOBAL.server_id)"
	}
	err = q.QueryRowContext(ctx, question).Scan(&life)
	return life, mariadb, err
}

// Write writes on the connection that is older than the hold. Behind an account fence that connection has
// been killed: the answer is then that of connecting anew.
func (p *Probe) Write(ctx context.Context) error {
	if p.old == nil {
		db, err := p.connect(ctx)
		if err != nil {
			return err
		}
		p.old = db
	}
	err := p.write(ctx, p.old)
	if err == nil || ctx.Err() != nil || number(err) != 0 && number(err) != erKilled {
		return err
	}
	_ = p.old.Close()
	p.old = nil
	return p.Write(ctx)
}

// WriteFresh writes on a new connection.
func (p *Probe) WriteFresh(ctx context.Context) error {
	db, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return p.write(ctx, db)
}

func (p *Probe) write(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "INSERT INTO `_changeover`.`probe` (migration, n, session, at) VALUES (?, 1, CONNECTION_ID(), UTC_TIMESTAMP(6))"+
		" ON DUPLICATE KEY UPDATE n = n + 1, session = VALUES(session), at = VALUES(at)", p.migration)
	return err
}

// Refused tells whether err is a fence's own answer to a write: 1290 for read_only, and that the account
// is locked. Any other error says nothing about a fence.
func (p *Probe) Refused(err error) bool { return Refused(err) }

// Refused tells whether err is a fence's own answer.
func Refused(err error) bool {
	switch number(err) {
	case erLockedMySQL, erLockedMariaDB, erEngineReadOnly:
		return true
	case erOption: // has other causes: secure_file_priv, skip_grant_tables
		return strings.Contains(err.Error(), "read-only") || strings.Contains(err.Error(), "read_only")
	}
	return false
}

// Close drops the account.
func (p *Probe) Close(ctx context.Context) error {
	if p.old != nil {
		_ = p.old.Close()
		p.old = nil
	}
	if _, err := p.maker.ExecContext(ctx, "/* changeover probe */ DROP USER IF EXISTS "+p.account.quoted()); err != nil {
		return fault.New(fault.FenceProbe, "drop the account %s: %w", p.account, err)
	}
	return nil
}
