package server

import "strings"

// Name quotes an identifier, or several joined by dots: Name("school", "a`b") is `school`.`a“b`.
func Name(parts ...string) string {
	quoted := make([]string, len(parts))
	for i, p := range parts {
		quoted[i] = "`" + strings.ReplaceAll(p, "`", "``") + "`"
	}
	return strings.Join(quoted, ".")
}
