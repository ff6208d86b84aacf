// Package realworld has no code, only tests: schemas that nobody here wrote, out of Debian packages, are read
// and checked, and a server is asked whether each of the check's errors is one, and each of its own is told.
package realworld

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// schema is one application's, as a Debian package ships it.
type schema struct {
	name, of string
	pack     string   // the Debian package
	files    []string // in the order in which they are run; a pattern stands for all that match, by name
	dumped   bool     // dumps of it are judged too
}

// schemas are web applications, monitoring, mail, telephony, DNS, DHCP, RADIUS, backup: what runs on MySQL and MariaDB.
var schemas = []schema{
	{name: "bacula", of: "backup", pack: "bacula-director-mysql", files: []string{"usr/share/dbconfig-common/data/bacula-director-mysql/install/mysql"}},
	{name: "cacti", dumped: true, of: "graphs of networks", pack: "cacti", files: []string{"usr/share/cacti/conf_templates/cacti.sql"}},
	{name: "ejabberd", of: "chat", pack: "ejabberd", files: []string{"usr/share/ejabberd/sql/mysql.sql"}},
	{name: "ejabberd-new", of: "chat, many hosts", pack: "ejabberd", files: []string{"usr/share/ejabberd/sql/mysql.new.sql"}},
	{name: "freeradius", dumped: true, of: "network access", pack: "freeradius-config", files: []string{"etc/freeradius/3.0/mods-config/sql/main/mysql/schema.sql",
		"etc/freeradius/3.0/mods-config/sql/main/mysql/process-radacct.sql", "etc/freeradius/3.0/mods-config/sql/main/mysql/extras/wimax/schema.sql",
		"etc/freeradius/3.0/mods-config/sql/ippool/mysql/schema.sql", "etc/freeradius/3.0/mods-config/sql/ippool/mysql/procedure.sql",
		"etc/freeradius/3.0/mods-config/sql/cui/mysql/schema.sql"}},
	{name: "gammu", of: "text messages", pack: "gammu-smsd", files: []string{"usr/share/doc/gammu-smsd/examples/mysql.sql"}},
	{name: "gammu-legacy", dumped: true, of: "text messages, older servers", pack: "gammu-smsd", files: []string{"usr/share/doc/gammu-smsd/examples/mysql-legacy.sql"}},
	{name: "icinga2", of: "monitoring", pack: "icinga2-ido-mysql", files: []string{"usr/share/icinga2-ido-mysql/schema/mysql.sql"}},
	{name: "icingadb", of: "monitoring", pack: "icingadb", files: []string{"usr/share/icingadb/schema/mysql/schema.sql"}},
	{name: "kamailio", of: "telephony", pack: "kamailio-mysql-modules", files: []string{"usr/share/kamailio/mysql/standard-create.sql", "usr/share/kamailio/mysql/[a-h]*-create.sql", "usr/share/kamailio/mysql/[j-z]*-create.sql"}},
	{name: "kea", dumped: true, of: "DHCP", pack: "kea-admin", files: []string{"usr/share/kea/scripts/mysql/dhcpdb_create.mysql"}},
	{name: "mediawiki", of: "wiki", pack: "mediawiki", files: []string{"usr/share/mediawiki/maintenance/tables-generated.sql"}},
	{name: "ocsinventory", of: "inventory", pack: "ocsinventory-reports", files: []string{"usr/share/ocsinventory-reports/files/ocsbase.sql"}},
	{name: "phpmyadmin", dumped: true, of: "administration", pack: "phpmyadmin", files: []string{"usr/share/phpmyadmin/sql/create_tables.sql"}},
	{name: "powerdns", of: "DNS", pack: "pdns-backend-mysql", files: []string{"usr/share/pdns-backend-mysql/schema/schema.mysql.sql", "usr/share/pdns-backend-mysql/schema/enable-foreign-keys.mysql.sql"}},
	{name: "prelude", of: "intrusion detection", pack: "prelude-manager", files: []string{"usr/share/dbconfig-common/data/prelude-manager/install/mysql"}},
	{name: "roundcube", of: "web mail", pack: "roundcube-core", files: []string{"usr/share/dbconfig-common/data/roundcube/install/mysql"}},
	{name: "spamassassin", of: "mail", pack: "spamassassin", files: []string{"usr/share/doc/spamassassin/sql/*_mysql.sql"}},
	{name: "tt-rss", dumped: true, of: "news reader", pack: "tt-rss", files: []string{"usr/share/tt-rss/schema/ttrss_schema_mysql.sql"}},
	{name: "zabbix", of: "monitoring", pack: "zabbix-server-mysql", files: []string{"usr/share/zabbix-server-mysql/schema.sql.gz"}},
	{name: "zoneminder", dumped: true, of: "video surveillance", pack: "zoneminder", files: []string{"usr/share/zoneminder/db/zm_create.sql", "usr/share/zoneminder/db/triggers.sql"}},
}

// unpacked is the folder with the files of all schemas.
func unpacked(t *testing.T) string {
	t.Helper()
	var packages, files []string
	for _, s := range schemas {
		packages, files = append(packages, s.pack), append(files, s.files...)
	}
	root, err := sandbox.DebianFiles(t.Context(), "schemas", unique(packages), unique(files), nil)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func unique(list []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

// input reads a schema's files; each once, where two patterns have it.
func (s *schema) input(t *testing.T, root string) *compat.Input {
	t.Helper()
	var names []string
	for _, pattern := range s.files {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v: %v", pattern, found, err)
		}
		names = append(names, found...)
	}
	in := &compat.Input{}
	for _, name := range unique(names) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			text = unzip(t, text)
		}
		in.Files = append(in.Files, ddl.NewFile(s.named(in, root, name), string(text)))
	}
	return in
}

// named is how findings name a file: by its base, or by its path where another of the schema has that base.
func (s *schema) named(in *compat.Input, root, name string) string {
	base := filepath.Base(name)
	if slices.ContainsFunc(in.Files, func(f *ddl.File) bool { return f.Name == base }) {
		return strings.TrimPrefix(name, root+"/")
	}
	return base
}

func unzip(t *testing.T, text []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	text, err = io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
