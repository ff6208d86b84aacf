package plan

import (
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/cdc/schema"
	"changeover/internal/fault"
	"changeover/internal/server"
)

func tableChecks() []Check {
	return []Check{
		{"tables have a key", NeedsSource, eachTable(keyless)},
		{"tables are InnoDB", NeedsSource, eachTable(engine)},
		{"columns can be carried", NeedsSource, eachTable(columnTypes)},
		{"the target knows the types", NeedsBoth, eachTable(targetTypes)},
		{"foreign keys that cascade", NeedsSource, cascades},
		{"foreign keys stay within the migration", NeedsSource, outsideKeys},
		{"MariaDB's own tables", NeedsSource, mariaTables},
		{"ids have headroom", NeedsSource, eachTable(headroom)},
		{"generated columns", NeedsSource, generated},
		{"partitions", NeedsSource, partitions},
		{"words that Aurora reserves", NeedsBoth, reservedWords},
	}
}

// eachTable runs a rule over every table in scope.
func eachTable(rule func(*Facts, Table) []Finding) func(*Facts) []Finding {
	return func(f *Facts) []Finding {
		if f.Schema == nil {
			return nil
		}
		var findings []Finding
		for _, t := range f.Schema.Tables {
			findings = append(findings, rule(f, t)...)
		}
		return findings
	}
}

func onTable(code fault.Code, severity Severity, t Table, format string, args ...any) []Finding {
	return []Finding{{Code: code, Severity: severity, Side: Source, Object: t.Name(),
		Detail: t.Name() + " " + fmt.Sprintf(format, args...)}}
}

func keyless(_ *Facts, t Table) []Finding {
	if t.RowKey >= 0 {
		return nil
	}
	return onTable(fault.KeylessTable, Decide, t, "has no usable key: about %d rows, %s", t.Rows, byteCount(t.Bytes))
}

func engine(_ *Facts, t Table) []Finding {
	if strings.EqualFold(t.Engine, "InnoDB") {
		return nil
	}
	return []Finding{{
		Code: fault.Engine, Severity: Block, Side: Source, Object: t.Name(),
		Detail: fmt.Sprintf("%s is %s", t.Name(), t.Engine),
		Remedy: fmt.Sprintf("ALTER TABLE %s ENGINE=InnoDB on the source, or leave it out with tables.exclude.", server.Name(t.Schema, t.Table.Name)),
	}}
}

func columnTypes(_ *Facts, t Table) []Finding {
	var findings []Finding
	for _, c := range t.Columns {
		if c.Kind == row.Unsupported {
			findings = append(findings, onColumn(fault.ColumnType, t, c, "can't be carried")...)
		}
	}
	return findings
}

func onColumn(code fault.Code, t Table, c row.Column, what string) []Finding {
	return []Finding{{Code: code, Severity: Block, Side: Source, Object: t.Name() + "." + c.Name,
		Detail: fmt.Sprintf("%s.%s is %s, which %s", t.Name(), c.Name, c.ColumnType, what)}}
}

// targetTypes: MariaDB's own types are the translation's concern.
func targetTypes(f *Facts, t Table) []Finding {
	var findings []Finding
	for _, c := range t.Columns {
		if c.Kind == row.Vector && f.Source.Version.Flavor == server.MySQL && !f.Target.mysqlAtLeast(9, 0, 0) {
			findings = append(findings, onColumn(fault.ColumnType, t, c, "the target does not have")...)
		}
	}
	return findings
}

// logsCascades: since 9.6 MySQL writes to the binlog what a cascade changed.
func (s *Server) logsCascades() bool { return s.mysqlAtLeast(9, 6, 0) }

func cascades(f *Facts) []Finding {
	if f.Schema == nil {
		return nil
	}
	var findings []Finding
	for _, k := range f.Schema.ForeignKeys {
		if !k.Cascades() || !f.inScope(k.Child) {
			continue
		}
		severity, what := Decide, "and "+string(f.Source.Version.Flavor)+" "+f.Source.Version.String()+
			" does not write to the binlog what a cascade changes: the target cascades by itself, one such change at a time"
		if f.Source.logsCascades() {
			severity, what = Note, "and this server writes to the binlog what a cascade changes: carried as rows"
		}
		findings = append(findings, Finding{Code: fault.Cascade, Severity: severity, Side: Source, Object: k.Child,
			Detail: fmt.Sprintf("%s of %s has ON DELETE %s ON UPDATE %s, %s", k.Name, k.Child, k.Delete, k.Update, what)})
	}
	if bad := schema.Unfaithful(f.actionKeys()); len(bad) > 0 && !f.Source.logsCascades() {
		findings = append(findings, Finding{Code: fault.Cascade, Severity: Block, Side: Source,
			Detail: "what these foreign keys change is not in the source's binlog, and the target would not carry it out whole: " + strings.Join(bad, "; "),
			Remedy: "Replace one of the rules by RESTRICT and let the application do its work, upgrade the source to MySQL 9.6, or leave the tables out with tables.exclude."})
	}
	return findings
}

// actionKeys are the foreign keys with actions within the migration.
func (f *Facts) actionKeys() (keys []schema.ActionKey) {
	for _, k := range f.Schema.ForeignKeys {
		if k.Cascades() && f.inScope(k.Child) && f.inScope(k.Parent) {
			updates := ForeignKey{Update: k.Update}.Cascades()
			keys = append(keys, schema.ActionKey{Name: k.Name, Child: k.Child, Parent: k.Parent,
				Cascades: k.Delete == "CASCADE" && !updates, Empties: k.Delete == "SET NULL" && !updates})
		}
	}
	return keys
}

func (f *Facts) inScope(name string) bool {
	db, table, _ := strings.Cut(name, ".")
	return f.Config.InScope(db, table)
}

func outsideKeys(f *Facts) []Finding {
	if f.Schema == nil {
		return nil
	}
	var findings []Finding
	for _, k := range f.Schema.ForeignKeys {
		switch child, parent := f.inScope(k.Child), f.inScope(k.Parent); {
		case child && !parent:
			findings = append(findings, Finding{Code: fault.OutsideKey, Severity: Block, Side: Source, Object: k.Child,
				Detail: fmt.Sprintf("%s of %s refers to %s, which stays behind", k.Name, k.Child, k.Parent)})
		case parent && !child:
			findings = append(findings, Finding{Code: fault.OutsideKey, Severity: Decide, Side: Source, Object: k.Parent,
				Detail: fmt.Sprintf("%s of %s, which stays behind, refers to %s", k.Name, k.Child, k.Parent)})
		}
	}
	return findings
}

func mariaTables(f *Facts) []Finding {
	if f.Schema == nil {
		return nil
	}
	var findings []Finding
	for _, t := range f.Schema.Odd {
		findings = append(findings, onTable(fault.MariaDBFeature, Block, t, "is a %s", t.Type)...)
	}
	return findings
}

func headroom(_ *Facts, t Table) []Finding {
	i := slices.IndexFunc(t.Columns, func(c row.Column) bool { return c.AutoIncrement })
	if i < 0 || t.NextID == 0 {
		return nil
	}
	c := t.Columns[i]
	used := 100 * float64(t.NextID-1) / float64(idLimit(c))
	switch {
	case used > 95:
		return onTable(fault.Headroom, Decide, t, "has used %.1f %% of %s's %s", used, c.Name, c.ColumnType)
	case used > 80:
		return onTable(fault.Headroom, Note, t, "has used %.0f %% of %s's %s", used, c.Name, c.ColumnType)
	}
	return nil
}

func generated(f *Facts) []Finding {
	if f.Schema == nil || f.Target.Reached() && f.Source.Version.SameSeries(f.Target.Version) {
		return nil
	}
	var columns []string
	for _, t := range f.Schema.Tables {
		for _, c := range t.Columns {
			if c.Generated {
				columns = append(columns, t.Name()+"."+c.Name)
			}
		}
	}
	if len(columns) == 0 {
		return nil
	}
	return one(fault.GeneratedColumns, Note, Both, "%d columns are computed by the target itself: %s", len(columns), list(columns))
}

func partitions(f *Facts) []Finding {
	if f.Schema == nil {
		return nil
	}
	var tables []string
	for _, t := range f.Schema.Tables {
		if t.Partition {
			tables = append(tables, t.Name())
		}
	}
	if len(tables) == 0 {
		return nil
	}
	return one(fault.Partitions, Note, Source, "%d tables: %s", len(tables), list(tables))
}

// auroraWords are reserved since Aurora MySQL 3.06 and nowhere else.
func auroraWords() []string {
	return []string{"accept", "aws_bedrock_invoke_model", "aws_sagemaker_invoke_endpoint", "content_type", "timeout_ms"}
}

func reservedWords(f *Facts) []Finding {
	if f.Schema == nil || f.Target.Identity.Aurora == "" {
		return nil
	}
	var users []string
	use := func(name, where string) {
		if slices.Contains(auroraWords(), strings.ToLower(name)) {
			users = append(users, where)
		}
	}
	for _, t := range f.Schema.Tables {
		use(t.Table.Name, t.Name())
		for _, c := range t.Columns {
			use(c.Name, t.Name()+"."+c.Name)
		}
	}
	if len(users) == 0 {
		return nil
	}
	return one(fault.ReservedWords, Decide, Target, "%d names are reserved words on Aurora: %s", len(users), list(users))
}
