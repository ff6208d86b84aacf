package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){"unique-collisions": uniqueCollisions})
}

// uniqueCollisions looks for rows that differ on the source and are equal by the target's collations. The source itself
// compares them so, as no value may leave it: keys are often names and addresses, and a question that has them in it
// stands in the logs of the server that is asked. A source that lacks the collation compares by the nearest that it has.
func uniqueCollisions(c *checker, emit func(hit)) {
	if c.opts.Target == nil {
		c.unchecked("needs a look at the target: what its columns compare by")
		return
	}
	on := map[string]*Object{}
	c.opts.Target.objects(func(o *Object) { on[o.String()] = o }, "table")
	c.rowTables(func(o *Object, t *table) {
		there := on[o.String()]
		if there == nil {
			return
		}
		for i := range t.keys {
			if parts := recollated(o, there, &t.keys[i].is); parts != nil {
				c.collisions(o, &t.keys[i].is, parts, emit)
			}
		}
	})
}

// keyPart is a part of a key with the collations that it has on both servers; empty: it is no text there.
type keyPart struct {
	column, from, to string
	prefix           int
}

// recollated are the parts of a unique key, if the target compares one of them otherwise; nil if not.
func recollated(o, there *Object, k *ddl.Key) (parts []keyPart) {
	if k.Kind != ddl.Unique && k.Kind != ddl.Primary {
		return nil
	}
	otherwise := false
	for _, p := range k.Parts {
		a, b := o.facts(p.Column), there.facts(p.Column)
		if a == nil || b == nil {
			return nil
		}
		part := keyPart{a.Name, utf8Name(a.Collation), utf8Name(b.Collation), p.Prefix}
		parts = append(parts, part)
		otherwise = otherwise || part.from != part.to && part.from != "" && part.to != ""
	}
	if !otherwise {
		return nil
	}
	return parts
}

// unknownCollation are a server's answers to a collation or a character set that it has not.
var unknownCollation = []uint16{1273, 1115}

// collisions counts the keys that are equal, by the first comparison that the source knows.
func (c *checker) collisions(o *Object, k *ddl.Key, parts []keyPart, emit func(hit)) {
	name := k.Name
	if k.Kind == ddl.Primary {
		name = "PRIMARY"
	}
	for _, by := range c.comparisons(parts) {
		n, whole, err := c.equalKeys(o, by.parts)
		if slices.Contains(unknownCollation, answer(err)) {
			continue
		}
		if err != nil {
			c.unchecked("rows of %s: %s", o, reason(err))
			return
		}
		h := hit{by: Data, object: o.String(), evidence: "UNIQUE " + name, says: fmt.Sprintf("keys of %s that differ on the source are equal on the target (%d values of those that were looked at)", name, n)}
		if by.nearest != "" {
			c.unchecked("rows of %s: the source has not the target's collation, and keys were compared by %s, which is near it", o, by.nearest)
			h.severity, h.says = Warning, fmt.Sprintf("keys of %s that differ on the source are equal by %s, which is near the target's collation (%d values of those that were looked at)", name, by.nearest, n)
		}
		if n > 0 {
			emit(h)
		}
		if !whole {
			c.unchecked("rows of %s: only %d were looked at", o, sampleRows)
		}
		return
	}
	c.unchecked("rows of %s: the source has no collation like the target's to compare the keys of %s by", o, name)
}

// equalKeys asks the source how many keys of some rows are there more than once. Keys with NULL are not compared by
// anybody.
func (c *checker) equalKeys(o *Object, parts []keyPart) (n uint64, whole bool, err error) {
	var keys, names, full []string
	for i, p := range parts {
		key := server.Name(p.column)
		full = append(full, key+" IS NOT NULL")
		if p.prefix > 0 {
			key = fmt.Sprintf("LEFT(%s, %d)", key, p.prefix)
		}
		if p.to != "" {
			charset, _, _ := strings.Cut(p.to, "_")
			converted := "CONVERT(" + key + " USING " + charset + ")"
			if from, _, _ := strings.Cut(p.from, "_"); from != charset && charset != "utf8mb4" { // what it has not is a question mark there
				full = append(full, fmt.Sprintf("CONVERT(CONVERT(%s USING utf8mb4) USING binary) = CONVERT(CONVERT(%s USING utf8mb4) USING binary)", converted, key))
			}
			key = converted + " COLLATE " + p.to
		} else if p.from != "" {
			key = "CONVERT(" + key + " USING binary)"
		}
		keys = append(keys, fmt.Sprintf("%s AS k%d", key, i))
		names = append(names, fmt.Sprintf("k%d", i))
	}
	rows, err := c.ask(c.opts.Source, fmt.Sprintf("SELECT COALESCE(SUM(rows_of_it > 1), 0), COALESCE(SUM(rows_of_it), 0) FROM (SELECT COUNT(*) AS rows_of_it FROM (SELECT %s FROM %s WHERE %s LIMIT %d) AS sample GROUP BY %s) AS equal_keys",
		strings.Join(keys, ", "), server.Name(o.Schema, o.Name), strings.Join(full, " AND "), sampleRows+1, strings.Join(names, ", ")))
	if err != nil {
		return 0, false, err
	}
	return count(rows[0][0].String), count(rows[0][1].String) <= sampleRows, nil
}

// comparison is a way in which the source can compare a key; nearest are the collations that are not the target's.
type comparison struct {
	parts   []keyPart
	nearest string
}

// near are collations that compare nearly as others do, for servers that lack those, the nearest first. Of the 194,559
// characters up to U+2FFFF, 15 are equal to another on MySQL 9.7 by utf8mb4_0900_ai_ci and not on MariaDB 10.11 by the
// first that stands here for it, and 626 the other way round.
var near = map[string][]string{
	"utf8mb4_0900_ai_ci":  {"utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_unicode_520_nopad_ci", "utf8mb4_unicode_520_ci"},
	"utf8mb4_0900_as_ci":  {"utf8mb4_uca1400_nopad_as_ci"},
	"utf8mb4_0900_as_cs":  {"utf8mb4_uca1400_nopad_as_cs"},
	"utf8mb4_0900_bin":    {"utf8mb4_nopad_bin", "utf8mb4_bin"},
	"utf8mb4_croatian_ci": {"utf8mb4_croatian_ci"}, // comparedOtherwise says where MariaDB's is another
	"utf8mb3_croatian_ci": {"utf8mb3_croatian_ci"},
}

// comparisons are the ways to compare a key as the target does, or nearly so, the best first.
func (c *checker) comparisons(parts []keyPart) (all []comparison) {
	if !slices.ContainsFunc(parts, func(p keyPart) bool { return c.namesake(p.to) }) {
		all = []comparison{{parts: parts}}
		if older := renamed(parts, func(to string) string { return strings.Replace(to, "utf8mb3_", "utf8_", 1) }); !slices.Equal(older, parts) {
			all = append(all, comparison{parts: older})
		}
	}
	for i := range near["utf8mb4_0900_ai_ci"] { // no other has more
		var by []string
		nearly := renamed(parts, func(to string) string {
			names := near[to]
			if len(names) == 0 {
				return to
			}
			name := names[min(i, len(names)-1)]
			if !slices.Contains(by, name) {
				by = append(by, name)
			}
			return name
		})
		if len(by) > 0 {
			all = append(all, comparison{nearly, strings.Join(by, ", ")})
		}
	}
	return all
}

// renamed are parts whose collations on the target have other names.
func renamed(parts []keyPart, name func(to string) string) []keyPart {
	parts = slices.Clone(parts)
	for i := range parts {
		parts[i].to = name(parts[i].to)
	}
	return parts
}

// namesake tells whether a source's collation of that name is not quite the target's: newer MariaDBs have their own
// under the names of MySQL 8, too.
func (c *checker) namesake(collation string) bool {
	return c.opts.Source.Flavor == server.MariaDB && (strings.Contains(collation, "_0900_") || strings.Contains(collation, "_croatian_"))
}
