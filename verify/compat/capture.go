package compat

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// captured are the variables that a profile keeps: what rules ask for.
var captured = []string{"sql_mode", "explicit_defaults_for_timestamp", "lower_case_table_names", "character_set_server", "collation_server",
	"default_collation_for_utf8mb4", "innodb_page_size", "innodb_strict_mode", "innodb_default_row_format", "log_bin_trust_function_creators",
	"restrict_fk_on_non_standard_key", "sql_require_primary_key", "sql_generate_invisible_primary_key", "time_zone", "max_allowed_packet", "event_scheduler"}

// Capture asks a server for what a profile says, once, so that CI needs no way to it. Nothing that is captured
// is secret: no address, account or name of a database.
func Capture(ctx context.Context, db *sql.DB, name string) (*Profile, error) {
	p := &Profile{Name: name, Variables: map[string]string{}}
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&p.Version); err != nil {
		return nil, err
	}
	if strings.Contains(strings.ToLower(p.Version), "mariadb") {
		return nil, fmt.Errorf("the server is %s; a target is a MySQL or an Aurora", p.Version)
	}
	p.Source = "captured from MySQL " + p.Version
	p.Version, _, _ = strings.Cut(p.Version, "-")
	var aurora sql.NullString
	if err := db.QueryRowContext(ctx, "SELECT VARIABLE_VALUE FROM performance_schema.global_variables WHERE VARIABLE_NAME = 'aurora_version'").Scan(&aurora); err == nil {
		p.Aurora, p.Source = true, "captured from Aurora "+aurora.String+" (MySQL "+p.Version+")"
	}
	for _, q := range []struct {
		into *[]string
		text string
	}{
		{&p.Collations, "SELECT COLLATION_NAME FROM information_schema.COLLATIONS ORDER BY 1"},
		{&p.Charsets, "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS ORDER BY 1"},
		{&p.Reserved, "SELECT WORD FROM information_schema.KEYWORDS WHERE RESERVED = 1 ORDER BY 1"},
	} {
		if err := column1(ctx, db, q.into, q.text); err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
	}
	for _, name := range captured {
		var value string
		// One that the version has not is not known of it.
		if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL."+name).Scan(&value); err == nil {
			p.Variables[name] = value
		}
	}
	return p, nil
}

func column1(ctx context.Context, db *sql.DB, into *[]string, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return err
		}
		*into = append(*into, v)
	}
	return rows.Err()
}

// YAML is the profile as LoadProfile reads it.
func (p *Profile) YAML() ([]byte, error) { return yaml.Marshal(p) }
