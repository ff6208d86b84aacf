package gate

import (
	"slices"
	"strings"
)

// kind is what a statement is to the gate.
type kind int

const (
	otherwise  kind = iota // it writes, or can't be told from what does
	surelyRead             // it changes nothing, neither data nor what other sessions see
	ending                 // COMMIT or ROLLBACK: it goes where the transaction is
)

// classify says what a statement is. A read that is taken for a write waits during a hold; a write that is taken for a read
// would get past it, to be refused by the fence. So what is not known is a write.
func classify(query string) kind {
	l := lexer{text: query}
	first := l.next()
	for first.is("(") {
		first = l.next()
	}
	switch first.word() {
	case "SELECT", "WITH", "TABLE", "VALUES":
		return l.reads()
	case "SHOW":
		return l.shows()
	case "EXPLAIN", "DESCRIBE", "DESC":
		return l.reads("ANALYZE")
	case "START":
		return l.startsReadOnly()
	case "COMMIT", "ROLLBACK":
		return l.ends()
	}
	return otherwise
}

// begins tells whether a statement opens a transaction, or takes locks, that go on after it.
func begins(query string) bool {
	l := lexer{text: query}
	switch l.next().word() {
	case "BEGIN", "START", "XA", "LOCK":
		return true
	case "SET":
		return slices.ContainsFunc(strings.FieldsFunc(strings.ToUpper(query), func(r rune) bool { return r < 'A' || r > 'Z' }),
			func(w string) bool { return w == "AUTOCOMMIT" })
	}
	return false
}

// describe is a statement's beginning, without values.
func describe(query string) string {
	l := lexer{text: query}
	var words []string
	for len(words) < 6 {
		t := l.next()
		if t.kind != word && t.kind != quoted && t.text != "." && t.text != "," {
			break
		}
		words = append(words, t.text)
	}
	return strings.NewReplacer(" . ", ".", " ,", ",").Replace(strings.Join(words, " "))
}

// forbidden words are those with which a SELECT locks, or writes a file or a variable; statements that write may stand
// behind WITH. FOR is looked at by itself.
var forbidden = []string{"INTO", "LOCK", "PROCEDURE", "INSERT", "UPDATE", "DELETE"}

// reads looks at the rest of a statement that reads if nothing in it says otherwise.
func (l *lexer) reads(also ...string) kind {
	var before, t token
	for {
		before, t = t, l.next()
		switch {
		case t.kind == end:
			return surelyReadUnless(l.doubtful)
		case t.text == ";":
			if l.next().kind != end { // a second statement
				return otherwise
			}
			return surelyReadUnless(l.doubtful)
		case t.text == ":=":
			return otherwise
		case t.kind == word && before.text != "@":
			w := t.word()
			if slices.Contains(forbidden, w) || slices.Contains(also, w) {
				return otherwise
			}
			if w == "FOR" && !slices.Contains([]string{"JOIN", "ORDER", "GROUP", "SYSTEM_TIME"}, l.peek().word()) {
				return otherwise
			}
		case t.is("("):
			if calls(before, l.spaced(t)) {
				return otherwise
			}
		}
	}
}

// shows looks at the rest of a SHOW, in which only a condition could do harm.
func (l *lexer) shows() kind {
	for before, t := (token{}), l.next(); ; before, t = t, l.next() {
		switch {
		case t.kind == end:
			return surelyReadUnless(l.doubtful)
		case t.text == ";":
			if l.next().kind != end {
				return otherwise
			}
			return surelyReadUnless(l.doubtful)
		case t.text == ":=", t.is("(") && calls(before, l.spaced(t)):
			return otherwise
		}
	}
}

func surelyReadUnless(doubtful bool) kind {
	if doubtful {
		return otherwise
	}
	return surelyRead
}

// calls tells whether a parenthesis behind that token may be the call of a function that writes. A function of the
// server's own can't be replaced by a stored one of the same name, except where it is called with a blank before its
// parenthesis, or by the name of its database.
func calls(before token, spaced bool) bool {
	switch before.kind {
	case word:
		w := before.word()
		if before.qualified {
			return true
		}
		if operators[w] {
			return false
		}
		return spaced || !harmless[w]
	case quoted, text:
		// `f`(…), and "f"(…) under ANSI_QUOTES. A list of columns may stand behind a name too, which is rare.
		return true
	}
	return false
}

func (l *lexer) startsReadOnly() kind {
	if l.next().word() != "TRANSACTION" {
		return otherwise
	}
	for t := l.next(); t.kind == word || t.text == ","; t = l.next() {
		if t.word() == "READ" && l.peek().word() == "ONLY" && !strings.Contains(l.text, ";") {
			return surelyRead
		}
	}
	return otherwise
}

func (l *lexer) ends() kind {
	for {
		switch t := l.next(); {
		case t.kind == end:
			return ending
		case t.text == ";":
			if l.next().kind == end {
				return ending
			}
			return otherwise
		case t.word() == "TO": // ROLLBACK TO a savepoint ends nothing
			return otherwise
		case t.word() == "CHAIN": // and this begins another
			return otherwise
		}
	}
}

// operators are words before a parenthesis that is no call.
var operators = set("IN AND OR NOT XOR ON USING AS VALUES VALUE ROW EXISTS ANY ALL SOME BETWEEN LIKE RLIKE REGEXP DIV MOD IS " +
	"WHERE HAVING WHEN THEN ELSE CASE SELECT FROM JOIN INNER CROSS LEFT RIGHT STRAIGHT_JOIN UNION EXCEPT INTERSECT DISTINCT BY " +
	"INTERVAL OVER PARTITION INDEX KEY LIMIT OFFSET LATERAL BINARY RECURSIVE RETURNING")

// harmless are functions that change nothing and that every server has (MySQL since 8.0, MariaDB since 10.6): where one
// is missing a stored function may have its name.
var harmless = set("ABS ACOS ADDDATE ADDTIME ASCII ASIN ATAN ATAN2 AVG BIN BIT_AND BIT_COUNT BIT_LENGTH BIT_OR BIT_XOR " +
	"CAST CEIL CEILING CHAR CHARACTER_LENGTH CHARSET CHAR_LENGTH COALESCE COERCIBILITY COLLATION CONCAT CONCAT_WS CONNECTION_ID CONV " +
	"CONVERT CONVERT_TZ COS COT COUNT CRC32 CUME_DIST CURDATE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURTIME " +
	"DATABASE DATE DATEDIFF DATE_ADD DATE_FORMAT DATE_SUB DAY DAYNAME DAYOFMONTH DAYOFWEEK DAYOFYEAR DEFAULT DEGREES DENSE_RANK ELT EXP " +
	"EXPORT_SET EXTRACT FIELD FIND_IN_SET FIRST_VALUE FLOOR FORMAT FOUND_ROWS FROM_BASE64 FROM_DAYS FROM_UNIXTIME GET_FORMAT " +
	"GREATEST GROUP_CONCAT HEX HOUR IF IFNULL INET6_ATON INET6_NTOA INET_ATON INET_NTOA INSTR ISNULL IS_IPV4 IS_IPV6 " +
	"JSON_ARRAY JSON_ARRAYAGG JSON_ARRAY_APPEND JSON_ARRAY_INSERT JSON_CONTAINS JSON_CONTAINS_PATH JSON_DEPTH JSON_EXTRACT JSON_INSERT " +
	"JSON_KEYS JSON_LENGTH JSON_MERGE_PATCH JSON_MERGE_PRESERVE JSON_OBJECT JSON_OBJECTAGG JSON_QUOTE " +
	"JSON_REMOVE JSON_REPLACE JSON_SEARCH JSON_SET JSON_TABLE JSON_TYPE JSON_UNQUOTE JSON_VALID JSON_VALUE LAG LAST_DAY LAST_VALUE " +
	"LCASE LEAD LEAST LEFT LENGTH LN LOCALTIME LOCALTIMESTAMP LOCATE LOG LOG10 LOG2 LOWER LPAD LTRIM MAKEDATE MAKETIME MAKE_SET MATCH " +
	"MAX MICROSECOND MID MIN MINUTE MOD MONTH MONTHNAME NOW NTH_VALUE NTILE NULLIF OCT OCTET_LENGTH ORD PERCENT_RANK PERIOD_ADD " +
	"PERIOD_DIFF PI POINT POSITION POW POWER QUARTER QUOTE RADIANS RAND RANK REGEXP_INSTR REGEXP_REPLACE " +
	"REGEXP_SUBSTR REPEAT REPLACE REVERSE RIGHT ROUND ROW_COUNT ROW_NUMBER RPAD RTRIM SCHEMA SECOND SEC_TO_TIME SESSION_USER SHA2 " +
	"SIGN SIN SOUNDEX SPACE SQRT STD STDDEV STDDEV_POP STDDEV_SAMP STRCMP STR_TO_DATE SUBDATE SUBSTR SUBSTRING SUBSTRING_INDEX " +
	"SUBTIME SUM SYSDATE SYSTEM_USER TAN TIME TIMEDIFF TIMESTAMP TIMESTAMPADD TIMESTAMPDIFF TIME_FORMAT TIME_TO_SEC TO_BASE64 " +
	"TO_DAYS TO_SECONDS TRIM TRUNCATE UCASE UNCOMPRESS UNHEX UNIX_TIMESTAMP UPPER USER UTC_DATE UTC_TIME UTC_TIMESTAMP UUID UUID_SHORT " +
	"VARIANCE VAR_POP VAR_SAMP VERSION WEEK WEEKDAY WEEKOFYEAR WEIGHT_STRING YEAR YEARWEEK " +
	"CHARACTER VARCHAR DECIMAL NUMERIC DOUBLE FLOAT VARBINARY DATETIME NCHAR") // the last are types, in CAST and JSON_TABLE

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
