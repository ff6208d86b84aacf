package compat

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/goccy/go-yaml"

	"changeover/internal/server"
)

// captured are the variables that a profile keeps: what rules ask for.
var captured = []string{"sql_mode", "explicit_defaults_for_timestamp", "lower_case_table_names", "character_set_server", "collation_server",
	"default_collation_for_utf8mb4", "init_connect", "innodb_page_size", "innodb_strict_mode", "innodb_default_row_format",
	"log_bin_trust_function_creators", "restrict_fk_on_non_standard_key", "sql_require_primary_key", "sql_generate_invisible_primary_key",
	"time_zone", "system_time_zone", "event_scheduler", "read_only", "innodb_read_only",
	"max_allowed_packet", "group_concat_max_len", "max_sort_length", "tmp_table_size", "max_heap_table_size",
	"transaction_isolation", "autocommit", "completion_type", "innodb_lock_wait_timeout", "innodb_rollback_on_timeout", "innodb_autoinc_lock_mode", "auto_increment_increment", "auto_increment_offset",
	"wait_timeout", "interactive_timeout", "max_connections", "max_user_connections",
	"require_secure_transport", "tls_version", "default_authentication_plugin", "authentication_policy",
	"innodb_ft_min_token_size", "innodb_ft_max_token_size", "innodb_ft_enable_stopword", "innodb_ft_server_stopword_table", "ngram_token_size"}

// Capture asks a server for what a profile says, once, so that CI needs no way to it. Nothing that is captured
// is secret: no address, account or name of a database.
func Capture(ctx context.Context, db *sql.DB, name string) (*Profile, error) {
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	variables, err := server.ReadVariables(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	return ProfileOf(ctx, db, &Picture{Version: version, Variables: variables}, name)
}

// ProfileOf makes the profile of a server that was looked at. It asks it for what only a profile has: all
// collations, character sets and reserved words.
func ProfileOf(ctx context.Context, db *sql.DB, seen *Picture, name string) (*Profile, error) {
	v, err := server.ParseVersion(seen.Version)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	if v.Flavor != server.MySQL {
		return nil, fmt.Errorf("the server is %s; a target is a MySQL or an Aurora", seen.Version)
	}
	p := &Profile{Name: name, Version: v.String(), Source: "captured from MySQL " + seen.Version, Variables: map[string]string{}}
	if aurora, ok := seen.Variables["aurora_version"]; ok {
		p.Aurora, p.Source = true, "captured from Aurora "+aurora+" (MySQL "+p.Version+")"
	}
	for _, q := range []struct {
		into *[]string
		text string
	}{
		{&p.Collations, "SELECT COLLATION_NAME FROM information_schema.COLLATIONS ORDER BY 1"},
		{&p.Charsets, "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS ORDER BY 1"},
		{&p.Reserved, "SELECT WORD FROM information_schema.KEYWORDS WHERE RESERVED = 1 ORDER BY 1"},
	} {
		_, rows, err := server.Rows(ctx, db, q.text)
		if err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
		for _, r := range rows {
			*q.into = append(*q.into, r[0].String)
		}
	}
	for _, name := range captured {
		value, ok := seen.Variables[name]                  // one that the version has not is not known of it
		if ok && (name != "init_connect" || value == "") { // which may be anything, so that it is empty is all that is told
			p.Variables[name] = value
		}
	}
	return p, nil
}

// YAML is the profile as LoadProfile reads it.
func (p *Profile) YAML() ([]byte, error) { return yaml.Marshal(p) }
