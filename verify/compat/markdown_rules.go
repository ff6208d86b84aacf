package compat

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// RulePages is docs/rules: an index, README.md, and a page for each family, by their names. Rules are shown by the first
// statement of the fixtures (*.sql) that a comment says they mean.
func RulePages(fixtures fs.FS) (map[string]string, error) {
	examples, err := readExamples(fixtures)
	if err != nil {
		return nil, err
	}
	var index strings.Builder
	index.WriteString(`# The rules of changeover check

This folder is made from verify/compat/rules and its fixtures by ` + "`go generate ./verify/compat`" + `; a test fails if it
is stale. What findings mean, and how to exempt one, is in [check.md](../check.md).

**Found by**: *static*, in the text of statements; *live*, by looking at a server; *data*, by bounded questions about rows
(` + "`--data`" + `); *run*, by running the migrations on throwaway servers (` + "`--run`" + `). One of them is enough for a
rule to look. **Confirmed**: who says so besides us.
`)
	pages := map[string]string{}
	for _, f := range Families() {
		var page strings.Builder
		fmt.Fprintf(&page, "# %s: %s\n\n[All rules](README.md)\n", f.Name, escapeMarkdown(f.Title))
		fmt.Fprintf(&index, "\n## [%s](%s.md): %s\n\n| id | severity | what | found by | confirmed |\n|---|---|---|---|---|\n", f.Name, f.Name, escapeMarkdown(f.Title))
		for i := range f.Rules {
			r := &f.Rules[i]
			fmt.Fprintf(&index, "| [%s](%s.md#%s) | %s | %s | %s | %s |\n", r.ID, f.Name, strings.ToLower(r.ID), r.Severity, cell(r.Title), joined(r.Means), r.ConfirmedBy())
			r.markdown(&page, examples[r.ID])
		}
		pages[f.Name+".md"] = page.String()
	}
	pages["README.md"] = index.String()
	return pages, nil
}

// markdown writes a rule's part of its family's page. Its heading is the id alone, which makes the anchor.
func (r *Rule) markdown(b *strings.Builder, example string) {
	fmt.Fprintf(b, "\n## %s\n\n**%s** · %s · found by: %s", r.ID, escapeMarkdown(r.Title), r.Severity, joined(r.Means))
	if len(r.From) > 0 {
		fmt.Fprintf(b, " · source: %s", joined(r.From))
	}
	if len(r.To) > 0 {
		fmt.Fprintf(b, " · target: %s", escapeMarkdown(joined(r.To)))
	}
	fmt.Fprintf(b, "\n\n%s\n\n**What to do:** %s\n", escapeMarkdown(r.Why), escapeMarkdown(r.Remedy))
	if r.SQL != "" {
		fmt.Fprintf(b, "\n```sql\n%s\n```\n", strings.TrimSpace(r.SQL))
	}
	if example != "" {
		fmt.Fprintf(b, "\nFor example:\n\n```sql\n%s\n```\n", example)
	}
	fmt.Fprintf(b, "\nConfirmed: %s.", r.ConfirmedBy())
	if len(r.Errno) > 0 {
		fmt.Fprintf(b, " The server's error: %s.", joined(r.Errno))
	}
	if r.Doc != "" {
		fmt.Fprintf(b, " See <%s>.", r.Doc)
	}
	b.WriteString("\n")
}

func joined[T any](list []T) string {
	words := make([]string, len(list))
	for i, x := range list {
		words[i] = fmt.Sprint(x)
	}
	return strings.Join(words, ", ")
}

// wanted is how a fixture's line says which rules mean it.
var wanted = regexp.MustCompile(`[ \t]*-- want ([A-Z0-9 ]+)$`)

// maxExample is how many lines of a statement are an example; of a longer one it is the line alone.
const maxExample = 6

// readExamples gives for each rule a statement of the fixtures; one that no other rule means is better.
func readExamples(fixtures fs.FS) (map[string]string, error) {
	names, err := fs.Glob(fixtures, "*.sql")
	if err != nil {
		return nil, err
	}
	examples, shared := map[string]string{}, map[string]bool{}
	for _, name := range names {
		text, err := fs.ReadFile(fixtures, name)
		if err != nil {
			return nil, err
		}
		f := ddl.NewFile(path.Base(name), string(text))
		statements := ddl.Read(f, ddl.MySQL, false)
		lines := strings.Split(string(text), "\n")
		for n, line := range lines {
			m := wanted.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			rules := strings.Fields(m[1])
			for _, rule := range rules {
				if examples[rule] == "" || shared[rule] && len(rules) == 1 {
					examples[rule], shared[rule] = exampleAt(f, statements, lines, n), len(rules) > 1
				}
			}
		}
	}
	return examples, nil
}

// exampleAt is the statement on a line, counted from 0, without what the fixture says of it.
func exampleAt(f *ddl.File, statements []ddl.Statement, lines []string, n int) string {
	from, to := n, n
	i := slices.IndexFunc(statements, func(st ddl.Statement) bool {
		last, _ := f.At(st.End)
		return last > n
	})
	if i >= 0 {
		first, _ := f.At(statements[i].Start)
		last, _ := f.At(statements[i].End)
		if first <= n+1 && last-first < maxExample {
			from, to = first-1, last-1
		}
	}
	var out []string
	for _, line := range lines[from : to+1] {
		out = append(out, wanted.ReplaceAllString(line, ""))
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}
