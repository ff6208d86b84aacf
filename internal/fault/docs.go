package fault

import (
	"fmt"
	"strings"
)

// Markdown is docs/errors.md: the catalogue for people.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# What can go wrong

Every fault that an operator can meet has a code, a cause and a way on. This page is made from
internal/fault/catalogue.go by ` + "`go generate ./internal/fault`" + `; a test fails if it is stale.
`)
	for _, e := range Catalogue {
		fmt.Fprintf(&b, "\n## %s %s\n\n%s\n", e.Code, e.Title, e.Cause)
		if e.Remedy != "" {
			fmt.Fprintf(&b, "\n**What to do:** %s\n", e.Remedy)
		}
		if back := e.Return(); back != e.Remedy {
			fmt.Fprintf(&b, "\n**On the way back:** %s\n", back)
		}
	}
	return b.String()
}
