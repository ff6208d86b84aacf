package compat

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestThePagesOfTheRulesAreFresh(t *testing.T) {
	pages, err := RulePages(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	const folder = "../../docs/rules"
	for name, want := range pages {
		if text, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(text) != want {
			t.Errorf("docs/rules/%s is stale: go generate ./verify/compat (%v)", name, err)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := pages[f.Name()]; !ok {
			t.Errorf("docs/rules/%s is of no family: go generate ./verify/compat", f.Name())
		}
	}
}

// Every rule is in the index and on the page that its findings name, under a heading that makes the anchor.
func TestEveryRuleHasItsPlaceInTheDocumentation(t *testing.T) {
	pages, err := RulePages(fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Families() {
		for _, r := range f.Rules {
			file, anchor, _ := strings.Cut(strings.TrimPrefix(r.Page(), "docs/rules/"), "#")
			if !strings.Contains(pages["README.md"], "]("+file+"#"+anchor+")") {
				t.Errorf("%s is not in the index", r.ID)
			}
			if !strings.Contains(pages[file], "\n## "+strings.ToUpper(anchor)+"\n") {
				t.Errorf("%s is not on its page", r.ID)
			}
		}
	}
}

func TestExamplesAreWholeStatementsThatOneRuleMeans(t *testing.T) {
	got, err := readExamples(fstest.MapFS{
		"a.sql": {Data: []byte("CREATE TABLE ok (id INT);\nCREATE TABLE a (id INT, -- want IDX501 TYP309\n  b INT,\n  c INT); -- want TYP309\nDROP TABLE a; -- want MIG1009\nSELECT '-- want NOT1';\n" +
			"CREATE TABLE l (\na INT,\nb INT,\nc INT, -- want CHS405\nd INT,\ne INT,\nf INT);\nDROP TABLE x; DROP TABLE y; -- want TBL511")},
		"b.sql": {Data: []byte("CREATE TABLE s (id INT); -- want IDX501\n")},
		"c.txt": {Data: []byte("SELECT 1; -- want AUR101\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	whole := "CREATE TABLE a (id INT,\n  b INT,\n  c INT);"
	want := map[string]string{"IDX501": "CREATE TABLE s (id INT);", "TYP309": whole, "MIG1009": "DROP TABLE a;", "CHS405": "c INT,", "TBL511": "DROP TABLE x; DROP TABLE y;"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Whatever stands in a schema stays a text in one cell.
func TestMarkdownStaysInItsCell(t *testing.T) {
	r := whole()
	r.Findings[0].Message = "a|b\n\r\n| c ``` <script> [x](y) **z** _w_ \\| &amp; utf8mb4_bin"
	r.Findings[0].Evidence = "</code>|"
	var b strings.Builder
	if err := r.Markdown(&b, true); err != nil {
		t.Fatal(err)
	}
	bars := regexp.MustCompile(`\\.`) // without what is escaped
	for line := range strings.SplitSeq(b.String(), "\n") {
		if rest := bars.ReplaceAllString(line, ""); strings.HasPrefix(rest, "| ") && strings.Count(rest, "|") != 6 && strings.Count(rest, "|") != 3 {
			t.Errorf("not a row of five or two: %s", line)
		}
	}
	for _, want := range []string{"utf8mb4_bin", `\<script\>`, `\_w\_`, `\[x\](y)`, `\\\|`, `\r`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in %s", want, b.String())
		}
	}
}

// A step's summary has an end; what is left out is said.
func TestALongReportIsCut(t *testing.T) {
	r := whole()
	one := r.Findings[3]
	r.Findings = slices.Repeat([]Finding{one}, 10_000)
	var b strings.Builder
	if err := r.Markdown(&b, false); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 1<<20 || !regexp.MustCompile(`and [0-9]+ more`).MatchString(b.String()) || !strings.Contains(b.String(), "#### Not checked") {
		t.Errorf("%d bytes", b.Len())
	}
}

// So has what is not checked: by what it is called, and by the reasons.
func TestALongListOfWhatIsNotCheckedIsCut(t *testing.T) {
	one := whole()
	for i := range 60_000 {
		one.Unchecked = append(one.Unchecked, Unchecked{Object: fmt.Sprintf("shop.table_with_a_long_name_%d", i), Reason: "SELECT command denied (1142)"})
	}
	many := whole()
	many.Findings = slices.Repeat([]Finding{many.Findings[3]}, 10_000)
	for i := range 60_000 {
		many.Unchecked = append(many.Unchecked, Unchecked{Object: "t", Reason: fmt.Sprintf("SELECT command denied for a table with a long name %d", i)})
	}
	for name, r := range map[string]*Report{" and [0-9]+ more \\|": one, "\nand for [0-9]+ reasons more": many} {
		var b strings.Builder
		if err := r.Markdown(&b, true); err != nil {
			t.Fatal(err)
		}
		if b.Len() > 1<<20 || !regexp.MustCompile(name).MatchString(b.String()) {
			t.Errorf("%s: %d bytes", name, b.Len())
		}
	}
	if got := some([]string{"a_", "b|"}); got != `a\_, b\|` {
		t.Error(got)
	}
}

// A text for people has nothing that moves a cursor, and fits the screen.
func TestATextFitsItsScreen(t *testing.T) {
	for _, width := range []int{40, 80, 100, 300} {
		var b strings.Builder
		if err := whole().TextOn(&b, Screen{Width: width, FailOn: Error}, true); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\u202e\r") {
			t.Errorf("%q", b.String())
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			// Only a place may be longer, of a finding that has no shorter one, and a word.
			if n := len([]rune(line)); n > min(width, maxWidth) && (width >= 80 || strings.HasPrefix(line, "  ") && len(strings.Fields(line)) > 1) {
				t.Errorf("%d of %d columns: %q", n, width, line)
			}
		}
	}
	lines := map[string][]string{}
	for _, s := range []string{"a bb ccc dddd", "  a bb ccc", "abcdefgh a", "", "a\nb"} {
		lines[s] = wrap(s, 6)
	}
	want := map[string][]string{"a bb ccc dddd": {"a bb", "ccc", "dddd"}, "  a bb ccc": {"  a bb", "  ccc"}, "abcdefgh a": {"abcdefgh", "a"}, "": {""}, "a\nb": {"a", "b"}}
	if d := cmp.Diff(want, lines); d != "" {
		t.Error(slices.Sorted(maps.Keys(lines)), d)
	}
}
