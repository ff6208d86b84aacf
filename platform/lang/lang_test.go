package lang

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"changeover/platform/curriculum"
)

func TestTheEmbeddedFilesAreRead(t *testing.T) {
	if _, err := parse(files); err != nil {
		t.Fatal(err)
	}
}

func TestAKeyInTwoEnglishFilesIsRefused(t *testing.T) {
	_, err := merge(fstest.MapFS{
		"strings/en/a.json": {Data: []byte(`{"common.save": "Save"}`)},
		"strings/en/b.json": {Data: []byte(`{"common.save": "Keep"}`)},
	}, "strings/en")
	if err == nil || !strings.Contains(err.Error(), "common.save") {
		t.Fatalf("got %v, want an error that names the key", err)
	}
}

// TestNoFileHasAKeyTwice reads the text: to encoding/json the last one silently wins.
func TestNoFileHasAKeyTwice(t *testing.T) {
	key := regexp.MustCompile(`(?m)^\s*"([^"]+)":`)
	for _, name := range stringsFiles(t) {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, m := range key.FindAllStringSubmatch(string(body), -1) {
			if seen[m[1]] {
				t.Errorf("%s: %s is there twice", name, m[1])
			}
			seen[m[1]] = true
		}
	}
}

func stringsFiles(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(files, "strings", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestEveryFileBelongsToALanguage(t *testing.T) {
	known := map[string]bool{"same": true, "blockly": true}
	for _, l := range All() {
		known[l.Tag] = true
	}
	for _, name := range stringsFiles(t) {
		if path.Dir(name) == "strings" && !known[strings.TrimSuffix(path.Base(name), ".json")] {
			t.Errorf("%s: no such language in locales.go", name)
		}
	}
}

func TestThereAreMoreThanFortyFiveLanguages(t *testing.T) {
	if n := len(All()) - 1; n < 46 {
		t.Errorf("%d languages besides English, want 46 or more", n)
	}
}

func TestLocales(t *testing.T) {
	tags := map[string]bool{}
	var inOrder []string
	for _, l := range All() {
		if tags[l.Tag] {
			t.Errorf("%s is there twice", l.Tag)
		}
		tags[l.Tag] = true
		inOrder = append(inOrder, l.Tag)
		tag, err := language.Parse(l.Tag)
		if err != nil || tag.String() != l.Tag {
			t.Errorf("%s: not a tag in its canonical form (%v, %v)", l.Tag, tag, err)
		}
		if l.Name == "" || l.English == "" || !norm.NFC.IsNormalString(l.Name) {
			t.Errorf("%s: name %q, in English %q", l.Tag, l.Name, l.English)
		}
		script, _ := tag.Script()
		rtl := slices.Contains([]string{"Arab", "Hebr", "Thaa", "Syrc", "Nkoo"}, script.String())
		if (l.Dir == RightToLeft) != rtl {
			t.Errorf("%s: direction is %s, but its script is %s", l.Tag, l.Dir, script)
		}
		if l.Blockly != "" && read().blockly.Have[l.Blockly] == 0 {
			t.Errorf("%s: Blockly has nothing in %q", l.Tag, l.Blockly)
		}
	}
	if inOrder[0] != English || !slices.IsSorted(inOrder[1:]) {
		t.Errorf("not English and then by tag: %v", inOrder)
	}
}

func TestText(t *testing.T) {
	s := &Strings{
		own:     map[string]string{"a.x": "eigenes {0}"},
		english: map[string]string{"a.x": "own {0}", "a.y": "other {1} {0} {2}", "b.z": "brace { and {x} and {0"},
	}
	for _, c := range []struct {
		name, key string
		args      []any
		want      string
	}{
		{"the language's own text", "a.x", []any{7}, "eigenes 7"},
		{"a text that it lacks, in English; a missing argument stays", "a.y", []any{"p", "q"}, "other q p {2}"},
		{"a key that nobody has", "a.nothing", []any{1}, "a.nothing"},
		{"an argument with braces is text", "a.y", []any{"{1}", "{0}", "z"}, "other {0} {1} z"},
		{"braces that are no placeholder", "b.z", []any{"p"}, "brace { and {x} and {0"},
		{"no arguments", "a.x", nil, "eigenes {0}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.T(c.key, c.args...); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	want := map[string]string{"a.x": "eigenes {0}", "a.y": "other {1} {0} {2}"}
	if diff := cmp.Diff(want, s.Area("a")); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnknownLanguageIsEnglish(t *testing.T) {
	if got := For("tlh").Locale().Tag; got != English {
		t.Errorf("got %s", got)
	}
}

var placeholder = regexp.MustCompile(`\{\d+\}`)

func placeholders(text string) []string {
	all := placeholder.FindAllString(text, -1)
	slices.Sort(all)
	return all
}

func TestEveryTranslationFitsItsEnglish(t *testing.T) {
	for tag, s := range read().byTag {
		for key, text := range s.own {
			english, known := s.english[key]
			if !known {
				t.Errorf("%s: %s isn't a key of English", tag, key)
				continue
			}
			if want, got := placeholders(english), placeholders(text); !slices.Equal(want, got) {
				t.Errorf("%s: %s has %v, English has %v: %q", tag, key, got, want, text)
			}
			if tag != English && !translatable(key) {
				t.Errorf("%s: %s is translated, but that area is in English only", tag, key)
			}
			if tag != English && text == english && !read().same[tag][key] {
				t.Errorf("%s: %s is English's own text; leave it out, or name it in same.json", tag, key)
			}
			for _, problem := range problems(text, english) {
				t.Errorf("%s: %s %s: %q", tag, key, problem, text)
			}
		}
	}
}

func TestWhatIsMarkedAsTheSameIsTheSame(t *testing.T) {
	c := read()
	for tag, keys := range c.same {
		s, ok := c.byTag[tag]
		if !ok {
			t.Errorf("same.json: no language %s", tag)
			continue
		}
		for key := range keys {
			if s.own[key] != c.english[key] {
				t.Errorf("same.json: %s of %s is %q, in English %q", key, tag, s.own[key], c.english[key])
			}
		}
	}
}

// problems are what no text may have, whatever its language. English may have a sign of markup where
// it speaks of code, and then its translations may have that one.
func problems(text, english string) []string {
	var found []string
	if strings.TrimSpace(text) == "" {
		found = append(found, "is empty")
	}
	if text != strings.TrimSpace(text) || strings.Contains(text, "  ") {
		found = append(found, "has stray spaces")
	}
	if !utf8.ValidString(text) {
		found = append(found, "isn't UTF-8")
	}
	if !norm.NFC.IsNormalString(text) {
		found = append(found, "isn't in normal form C")
	}
	for _, r := range placeholder.ReplaceAllString(text, "") {
		if strings.ContainsRune("<{}&\\|*\uFFFD", r) || strings.ContainsRune(">`", r) && !strings.ContainsRune(english, r) {
			found = append(found, "has markup")
		}
	}
	for _, r := range text {
		// A zero-width joiner or non-joiner is spelling in Persian and in Indic scripts; every other
		// invisible character got there by accident.
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' {
			found = append(found, "has an invisible character")
		}
	}
	return found
}

func TestProblemsAreFound(t *testing.T) {
	for text, want := range map[string]string{
		"  ": "is empty", "a ": "has stray spaces", "a  b": "has stray spaces", "a\xff": "isn't UTF-8", "u\u0308": "isn't in normal form C",
		"<b>": "has markup", "{name}": "has markup", "&nbsp;": "has markup", "a\u200fb": "has an invisible character", "a\nb": "has an invisible character",
	} {
		if found := problems(text, "plain"); !slices.Contains(found, want) {
			t.Errorf("%q: found %v, want %q", text, found, want)
		}
	}
	for _, text := range []string{"می\u200cشود", "क्\u200dष", "{0} {1}", "Saved ✓", "“{0}”", "not => here"} {
		if found := problems(text, "write =>"); found != nil {
			t.Errorf("%q: %v", text, found)
		}
	}
}

// Latin letters are everywhere, for names such as App Lab.
func TestEveryTextIsInItsOwnScript(t *testing.T) {
	for _, l := range All() {
		script, _ := language.Make(l.Tag).Script()
		names := map[string][]string{"Jpan": {"Han", "Hiragana", "Katakana"}, "Kore": {"Hangul"}, "Hans": {"Han"}, "Hant": {"Han"},
			"Arab": {"Arabic"}, "Hebr": {"Hebrew"}, "Cyrl": {"Cyrillic"}, "Grek": {"Greek"}, "Armn": {"Armenian"}, "Geor": {"Georgian"},
			"Deva": {"Devanagari"}, "Beng": {"Bengali"}, "Taml": {"Tamil"}, "Telu": {"Telugu"}, "Gujr": {"Gujarati"}, "Knda": {"Kannada"},
			"Mlym": {"Malayalam"}, "Guru": {"Gurmukhi"}, "Sinh": {"Sinhala"}, "Thai": {"Thai"}, "Ethi": {"Ethiopic"}, "Latn": {"Latin"}}[script.String()]
		if names == nil {
			t.Errorf("%s: which letters has the script %s?", l.Tag, script)
		}
		for key, text := range For(l.Tag).own {
			for _, r := range text {
				if unicode.IsLetter(r) && !unicode.In(r, unicode.Latin, unicode.Common) && !slices.ContainsFunc(names, func(n string) bool { return unicode.Is(unicode.Scripts[n], r) }) {
					t.Errorf("%s: %s has %q, a letter of another script: %q", l.Tag, key, r, text)
					break
				}
			}
		}
	}
}

func TestCoverageCountsStringByString(t *testing.T) {
	for _, row := range Coverage() {
		if row.OwnTotal == 0 || row.BlocklyTotal == 0 || row.Own > row.OwnTotal || row.Blockly > row.BlocklyTotal {
			t.Errorf("%+v", row)
		}
		if row.Tag == English && (row.Own != row.OwnTotal || row.Blockly != row.BlocklyTotal) {
			t.Errorf("English isn't whole: %+v", row)
		}
		if row.Own == 0 {
			t.Errorf("%s has no text of its own", row.Tag)
		}
		t.Logf("%-8s own %3d of %d, Blockly %2d of %d", row.Tag, row.Own, row.OwnTotal, row.Blockly, row.BlocklyTotal)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct{ accept, cookie, query, want string }{
		{"es-MX,es;q=0.9,en;q=0.8", "", "", "es"},
		{"zh-TW,zh;q=0.9", "", "", "zh-Hant"},
		{"zh-HK", "", "", "zh-Hant"},
		{"zh-CN,zh;q=0.9", "", "", "zh-Hans"},
		{"zh", "", "", "zh-Hans"},
		{"iw", "", "", "he"},
		{"in", "", "", "id"},
		{"tl-PH", "", "", "fil"},
		{"no", "", "", "nb"},
		{"nn-NO", "", "", "nb"},
		{"pt-PT", "", "", "pt"},
		{"pt-AO", "", "", "pt"},
		{"pt-BR", "", "", "pt-BR"},
		{"pt", "", "", "pt-BR"},
		{"en-GB", "", "", "en"},
		{"fr-CA", "", "", "fr"},
		{"de-AT;q=0.4, it;q=0.9", "", "", "it"},
		{"xx-nonsense, fr;q=0.5", "", "", "fr"},
		{"tlh, ja;q=0.1", "", "", "ja"},
		{"!!, ;q=, \xff", "", "", "en"},
		{"", "", "", "en"},
		{"*", "", "", "en"},
		{"ar-EG", "he", "", "he"},
		{"ar-EG", "he", "ur", "ur"},
		{"ar-EG", "he", "nonsense", "he"},
		{"ar-EG", "../../etc/passwd", "'; drop table users", "ar"},
		{"", "", "pt", "pt"},
		{"", "", "PT-br", "pt-BR"},
		{"", "", "zh-TW", "zh-Hant"},
		{strings.Repeat("x,", 1<<16) + "de", "", "", "en"},
	} {
		if got := Match(c.accept, c.cookie, c.query).Tag; got != c.want {
			t.Errorf("Match(%.40q, %q, %q) = %s, want %s", c.accept, c.cookie, c.query, got, c.want)
		}
	}
	for _, l := range All() {
		if got := Match("", "", l.Tag).Tag; got != l.Tag {
			t.Errorf("?lang=%s is %s", l.Tag, got)
		}
		if got := Match("", l.Tag, "").Tag; got != l.Tag {
			t.Errorf("the cookie %s is %s", l.Tag, got)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("es-MX,es;q=0.9", "he", "zh-TW")
	f.Fuzz(func(t *testing.T, accept, cookie, query string) {
		if l := Match(accept, cookie, query); l.Tag == "" {
			t.Errorf("Match(%q, %q, %q) is no language", accept, cookie, query)
		}
	})
}

// web is where the texts are used.
const web = "../web"

var (
	action     = regexp.MustCompile(`\{\{[^}]*\}\}`)
	inTemplate = regexp.MustCompile(`\bt\s+"([^"]+)"`)
	inGo       = regexp.MustCompile(`\.T\("([^"]+)"`)
	// A key may be whole, or the beginning of one that the script puts together:
	// t('puzzle.state_' + x), t(`dance.block.${x}`).
	inScript = regexp.MustCompile("\\bt\\(\\s*['\"`]([^'\"`$]+)(['\"`]\\s*\\+|\\$\\{)?")
)

func TestTheScanFindsKeys(t *testing.T) {
	for text, want := range map[string]use{
		`t('a.b')`: {key: "a.b"}, "t(`a.b`, 3)": {key: "a.b"}, `t( "a.b" , x)`: {key: "a.b"},
		`t('a.b_' + x)`: {key: "a.b_", prefix: true}, "t(`a.b.${x}`)": {key: "a.b.", prefix: true}, `x ? t('a.b') : t("c.d")`: {key: "a.b"},
	} {
		m := inScript.FindStringSubmatch(text)
		if m == nil || m[1] != want.key || (m[2] != "") != want.prefix {
			t.Errorf("%s: found %q", text, m)
		}
	}
	if m := inScript.FindStringSubmatch(`at('a.b')`); m != nil {
		t.Errorf("found %q in another function's name", m)
	}
}

func TestEveryKeyThatAPageUsesIsThere(t *testing.T) {
	english := Keys()
	for _, u := range uses(t) {
		if u.prefix {
			begun := false
			for key := range english {
				begun = begun || strings.HasPrefix(key, u.key)
			}
			if !begun {
				t.Errorf("%s: no key begins with %q", u.file, u.key)
			}
		} else if _, ok := english[u.key]; !ok {
			t.Errorf("%s: no text for %q", u.file, u.key)
		}
	}
}

type use struct {
	file, key string
	// prefix is true where only the beginning of the key is written down.
	prefix bool
}

// uses reads the sources of the web pages; there may be none yet.
func uses(t *testing.T) []use {
	t.Helper()
	var all []use
	add := func(file, text string, re *regexp.Regexp) {
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			all = append(all, use{file, m[1], len(m) > 2 && m[2] != ""})
		}
	}
	err := filepath.WalkDir(web, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{"node_modules", "dist"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		ext := filepath.Ext(file)
		if !slices.Contains([]string{".html", ".js", ".go"}, ext) {
			return nil
		}
		body, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text := string(body)
		switch ext {
		case ".html":
			for _, a := range action.FindAllString(text, -1) {
				add(file, a, inTemplate)
			}
		case ".js":
			add(file, text, inScript)
		case ".go":
			add(file, text, inGo)
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all
}

func TestACourseIsTranslatedByItsText(t *testing.T) {
	s := &Strings{
		own:     map[string]string{"level.otter.1.title": "Der erste Platsch"},
		english: map[string]string{"level.otter.1.title": "First splash", "level.otter.2.title": "A longer swim"},
	}
	s.courses = byText(s.english)
	for text, want := range map[string]string{
		"First splash":        "Der erste Platsch",
		"A longer swim":       "A longer swim",
		"A school's own text": "A school's own text",
		"level.otter.1.title": "level.otter.1.title",
		"":                    "",
	} {
		if got := s.Course(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestEveryTextOfTheCurriculumHasAKey(t *testing.T) {
	keys := For(English).courses
	for _, script := range curriculum.Scripts() {
		texts := []string{script.Title}
		for _, l := range script.Levels {
			texts = append(texts, l.Title, l.Instructions)
		}
		for _, text := range texts {
			if keys[text] == "" || For(English).Course(text) != text {
				t.Errorf("%s: no key for %q", script.Name, text)
			}
		}
	}
}
