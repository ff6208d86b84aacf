package schema

import (
	"strings"
)

// tableOptions translates what follows a table's parts: engine, options, partitions.
func (tr *translator) tableOptions(options string) string {
	r := newRewrite(options)
	tr.collations(r)
	for i := range r.tokens {
		tr.tableOption(r, i)
	}
	if tr.mariaDB {
		tr.mariaDBOptions(r)
	}
	return strings.TrimSpace(r.String())
}

// tableOption translates the option whose name's last word is at i; the next is an equals sign.
func (tr *translator) tableOption(r *rewrite, i int) {
	name, value := r.at(i), r.at(i+2)
	if !name.isName() || !r.at(i+1).is("=") {
		return
	}
	switch first := i; {
	case name.is("ENGINE"):
		tr.engine(r, i+2)
	case name.is("DIRECTORY"):
		tr.leaveOut(r, first-1, i+3, "the target decides where its files are")
	case name.is("TABLESPACE"):
		tr.leaveOut(r, first, i+3, "the table has a tablespace of its own")
	case name.is("SECONDARY_ENGINE"):
		tr.leaveOut(r, first, i+3, "the target has none")
	case name.is("ROW_FORMAT") && value.is("FIXED", "PAGE", "TOKUDB_ZLIB", "TOKUDB_LZMA"):
		tr.leaveOut(r, first, i+3, "InnoDB has no such format")
	case tr.target.Aurora && tr.notOnAurora(name, value):
		tr.leaveOut(r, first, i+3, "Aurora stores and encrypts tables in its own way")
	case tr.mariaDB && (name.kind == quoted || isMariaDBOption(name)):
		tr.leaveOut(r, first, i+3, "MySQL has no such option")
	case name.is("CONNECTION", "UNION", "INSERT_METHOD"), tr.mariaDB && name.is("SEQUENCE"):
		tr.problem("%s has no counterpart", r.between(i, i+3))
	}
}

func (tr *translator) notOnAurora(name, value token) bool {
	return name.is("ROW_FORMAT") && value.is("COMPRESSED") || name.is("KEY_BLOCK_SIZE", "COMPRESSION", "ENCRYPTION")
}

func isMariaDBOption(name token) bool {
	return name.is("PAGE_CHECKSUM", "TRANSACTIONAL", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "ENCRYPTED",
		"ENCRYPTION_KEY_ID", "IETF_QUOTES")
}

// leaveOut drops the tokens from…to-1, and with them the executable comment that holds only them.
func (tr *translator) leaveOut(r *rewrite, from, to int, why string) {
	tr.note("%s is left out: %s", r.between(from, to), why)
	if strings.HasPrefix(r.at(from-1).text, "/*!") && r.at(to).is("*/") {
		from, to = from-1, to+1
	}
	r.drop(from, to)
}

// engine makes InnoDB of an engine that stores rows of its own, where the policy allows it.
func (tr *translator) engine(r *rewrite, at int) {
	engine := r.at(at).name()
	switch strings.ToLower(engine) {
	case "innodb":
		return
	case "myisam", "aria", "memory", "heap", "csv", "archive", "tokudb", "rocksdb", "maria":
		if tr.options.Engines == ConvertEngines {
			tr.note("engine %s becomes InnoDB", engine)
			r.replace(at, at+1, "InnoDB")
			return
		}
		tr.problem("the target has only InnoDB, the table's engine is %s: convert it on the source or let Changeover convert it", engine)
	default:
		tr.problem("the target has only InnoDB, and engine %s doesn't hold rows that can be copied", engine)
	}
}

// mariaDBOptions looks for what MySQL has no counterpart for.
func (tr *translator) mariaDBOptions(r *rewrite) {
	for i, t := range r.tokens {
		switch {
		case matches(r.tokens[i:], "WITH", "SYSTEM", "VERSIONING"):
			tr.problem("the table is system-versioned; its history has no place on MySQL")
		case matches(r.tokens[i:], "BY", "SYSTEM_TIME"):
			tr.problem("the table is partitioned by SYSTEM_TIME")
		case t.is("DEFAULT") && r.at(i-2).is("PARTITION"):
			tr.problem("partition %s takes what no other does (DEFAULT); MySQL has no such partition", r.at(i-1).name())
		}
	}
}
