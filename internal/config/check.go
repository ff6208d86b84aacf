package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/internal/server"
)

var migrationName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// check lists every impossible value; a path that the file lacks has no line.
func (r *reader) check(c *Config) {
	r.checkMigration(c.Migration)
	r.checkServer("source", c.Source)
	r.checkServer("target", c.Target)
	r.checkDatabases(c.Databases)
	r.checkPatterns("tables.include", c.Tables.Include, c.Databases)
	r.checkPatterns("tables.exclude", c.Tables.Exclude, c.Databases)
	r.between("copy.workers", c.Copy.Workers, 1, 64)
	r.sized("copy.chunk", c.Copy.Chunk, 64<<10, 256<<20)
	if c.Copy.Rate != 0 {
		r.sized("copy.rate", c.Copy.Rate, 64<<10, 64<<30)
	}
	r.between("apply.workers", c.Apply.Workers, 1, 64)
	r.sized("apply.memory", c.Apply.Memory, 32<<20, 64<<30)
	r.between("verify.share", c.Verify.Share, 1, 800)
	r.between("verify.parallel", c.Verify.Parallel, 1, 32)
	r.between("verify.max_running", c.Verify.MaxRunning, 0, 100000)
	if c.Verify.Every != 0 && c.Verify.Every < time.Minute {
		r.bad("verify.every", "is %s; it must be 0, which is never, or at least 1m", c.Verify.Every)
	}
	oneOf(r, "definers.missing", c.Definers.Missing, ReplaceDefiner, AutoDefiner, KeepDefiner, StopAtDefiner)
	if c.Cutover.Hold < 100*time.Millisecond || c.Cutover.Hold > time.Second {
		r.bad("cutover.hold", "is %s; it must be 100ms to 1s", c.Cutover.Hold)
	}
	oneOf(r, "cutover.fence", c.Cutover.Fence, FenceAuto, FenceReadOnly, FenceAccounts)
	r.checkHooks(c.Cutover.Hooks)
	r.checkBus(c.Bus)
	r.checkListen("listen", c.Listen)
}

func (r *reader) checkMigration(name string) {
	switch {
	case name == "":
		r.bad("migration", "is missing: name the migration, such as migration: school")
	case !migrationName.MatchString(name):
		r.bad("migration", "is %q; a name is 1 to 32 of a-z, 0-9, _ and -", name)
	}
}

func (r *reader) checkServer(side string, s Server) {
	switch {
	case s.Host == "":
		r.bad(side+".host", "is missing")
	case strings.ContainsAny(s.Host, " \t\r\n/@\x00"):
		r.bad(side+".host", "is %q; it must be a host name or an address", s.Host)
	case strings.Contains(s.Host, ":") && !isAddress(s.Host):
		r.bad(side+".host", "is %q; the port goes into %s.port", s.Host, side)
	}
	r.between(side+".port", s.Port, 1, 65535)
	switch {
	case s.User == "":
		r.bad(side+".user", "is missing")
	case len([]rune(s.User)) > 80:
		r.bad(side+".user", "is longer than an account's name can be")
	}
	if s.PasswordFile != "" && s.PasswordEnv != "" {
		r.bad(side+".password_env", "and %s.password_file are both set; keep one", side)
	}
	r.checkTLS(side+".tls", s.TLS)
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// checkTLS refuses a key that the mode would ignore: a CA that is given and not looked at is a
// false sense of safety.
func (r *reader) checkTLS(path string, t TLS) {
	oneOf(r, path+".mode", t.Mode, server.TLSModes...)
	verifies := t.Mode == server.TLSVerifyCA || t.Mode == server.TLSVerifyFull
	if t.CA != "" && !verifies {
		r.bad(path+".ca", "has no effect with mode %s; it needs verify-ca or verify-full", t.Mode)
	}
	if t.ServerName != "" && t.Mode != server.TLSVerifyFull {
		r.bad(path+".server_name", "has no effect with mode %s; it needs verify-full", t.Mode)
	}
	if (t.Cert == "") != (t.Key == "") {
		r.bad(path+".cert", "and %s.key go together", path)
	}
	if t.Cert != "" && (t.Mode == server.TLSPreferred || t.Mode == server.TLSDisabled) {
		r.bad(path+".cert", "needs mode required, verify-ca or verify-full")
	}
}

// systemDatabases belong to the server, or to Changeover; they never migrate.
var systemDatabases = []string{
	"mysql", "sys", "information_schema", "performance_schema", "_changeover", "rdsadmin", "innodb",
}

func (r *reader) checkDatabases(names []string) {
	if len(names) == 0 {
		r.bad("databases", "is missing: list the databases to move, such as [school]")
	}
	for i, name := range names {
		path := fmt.Sprintf("databases[%d]", i)
		switch {
		case name == "":
			r.bad(path, "is empty")
		case len([]rune(name)) > 64:
			r.bad(path, "is longer than the 64 characters that a database's name may have")
		case strings.ContainsAny(name, "*?\x00"):
			r.bad(path, "is %q; databases are listed by name, patterns go into tables.include and tables.exclude", name)
		case slices.Contains(systemDatabases, strings.ToLower(name)):
			r.bad(path, "is %q, which belongs to the server and can't be moved", name)
		case slices.Contains(names[:i], name):
			r.bad(path, "is %q, which is listed twice", name)
		}
	}
}

func (r *reader) checkPatterns(path string, patterns, databases []string) {
	for i, p := range patterns {
		at := fmt.Sprintf("%s[%d]", path, i)
		db, table, ok := strings.Cut(p, ".")
		switch {
		case !ok || db == "" || table == "":
			r.bad(at, "is %q; a pattern is database.table, with * for any characters", p)
		case len(p) > 256:
			r.bad(at, "is longer than 256 bytes")
		case len(databases) > 0 && !slices.ContainsFunc(databases, func(d string) bool { return glob(db, d) }):
			r.bad(at, "is %q, which matches none of the databases %s", p, strings.Join(databases, ", "))
		}
	}
}

// checkHooks sees to what an entry must have; what is in it is the hook's own to check.
func (r *reader) checkHooks(all []Hook) {
	for i, h := range all {
		at := fmt.Sprintf("cutover.hooks[%d]", i)
		if h.Name == "" {
			r.bad(at+".name", "is missing")
		}
		if (len(h.Exec) > 0) == (h.HAProxy != HAProxy{}) {
			r.bad(at, "must have either exec or haproxy")
		}
	}
}

func (r *reader) checkBus(b Bus) {
	if b.Listen != "" && b.URL != "" {
		r.bad("bus.url", "and bus.listen are both set; keep one")
	}
	guarded := b.TLS.Cert != "" && b.NKeyFile != "" && len(b.NKeys) > 0
	if b.Listen != "" && r.checkListen("bus.listen", b.Listen) && !loopback(b.Listen) && !guarded {
		r.bad("bus.listen", "is %q; beyond loopback the bus needs bus.tls.cert and key, bus.nkey_file, and the gates' public keys in bus.nkeys", b.Listen)
	}
	if (b.TLS.Cert == "") != (b.TLS.Key == "") {
		r.bad("bus.tls.cert", "and bus.tls.key go together")
	}
	if b.URL == "" {
		return
	}
	for one := range strings.SplitSeq(b.URL, ",") { // a cluster's servers
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			r.bad("bus.url", "must be nats://host:port or tls://host:port; several of a cluster have commas between")
			return
		}
		if u.User != nil {
			r.bad("bus.url", "must not carry a password; secrets come from files or the environment")
		}
	}
}

func loopback(hostPort string) bool {
	host, _, _ := net.SplitHostPort(hostPort)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

func (r *reader) checkListen(path, hostPort string) bool {
	_, port, err := net.SplitHostPort(hostPort)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.bad(path, "is %q; it must be host:port, such as 127.0.0.1:7070", hostPort)
	}
	return err == nil
}

func (r *reader) between(path string, n, low, high int) {
	if n < low || n > high {
		r.bad(path, "is %d; it must be %d to %d", n, low, high)
	}
}

func (r *reader) sized(path string, n, low, high ByteSize) {
	if n < low || n > high {
		r.bad(path, "is %s; it must be %s to %s", n, low, high)
	}
}

func oneOf[T ~string](r *reader, path string, got T, allowed ...T) {
	if slices.Contains(allowed, got) {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	r.bad(path, "is %q; it must be one of %s", string(got), strings.Join(names, ", "))
}
