// Package lang has every text that a person sees, in every language that the platform speaks.
//
// In: the English strings of strings/en and of the curriculum, their translations in strings/<tag>.json, and what a
// browser says about its reader. Out: the texts of a page, the locale of a request, and how much
// of each language is there.
//
// The decision that matters: a language falls back to English string by string. A translation that
// nobody is sure of is left out, the page shows that one text in English, and [Coverage] says so;
// nothing has to be complete to be of use.
package lang

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strconv"
	"strings"
	"sync"

	"changeover/platform/curriculum"
)

//go:embed strings
var files embed.FS

// Strings are the texts of one language. It is safe for concurrent use: nothing changes it.
type Strings struct {
	locale  Locale
	own     map[string]string
	english map[string]string
	courses map[string]string // keys by the English text
}

// catalogue is everything that was embedded, read once.
type catalogue struct {
	english map[string]string
	byTag   map[string]*Strings
	// same has, by tag, the keys whose text is right although it equals the English one.
	same    map[string]map[string]bool
	blockly blocklyCounts
}

// read panics when an embedded file is broken: that is a build that no test has seen, not an input.
var read = sync.OnceValue(func() *catalogue {
	c, err := parse(files)
	if err != nil {
		panic(err)
	}
	return c
})

func parse(fsys fs.FS) (*catalogue, error) {
	english, err := merge(fsys, "strings/en")
	if err != nil {
		return nil, err
	}
	learned := courses(curriculum.Scripts())
	for key, text := range learned {
		if _, twice := english[key]; twice {
			return nil, fmt.Errorf("%q is the curriculum's, but strings/en has it too", key)
		}
		english[key] = text
	}
	keys := byText(learned)
	c := &catalogue{english: english, byTag: map[string]*Strings{}, same: map[string]map[string]bool{}}
	var same map[string][]string
	if err := decode(fsys, "strings/same.json", &same); err != nil {
		return nil, err
	}
	for tag, keys := range same {
		c.same[tag] = map[string]bool{}
		for _, key := range keys {
			c.same[tag][key] = true
		}
	}
	if err := decode(fsys, "strings/blockly.json", &c.blockly); err != nil {
		return nil, err
	}
	for _, l := range locales {
		own := english
		if l.Tag != English {
			own = nil
			if err := decode(fsys, "strings/"+l.Tag+".json", &own); err != nil {
				return nil, err
			}
		}
		c.byTag[l.Tag] = &Strings{locale: l, own: own, english: english, courses: keys}
	}
	return c, nil
}

// merge reads all files of a folder into one map. English is kept in several files because several
// hands write it; a key in two of them would be decided by the order of their names, so it is refused.
func merge(fsys fs.FS, dir string) (map[string]string, error) {
	names, err := fs.Glob(fsys, path.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, name := range names {
		var one map[string]string
		if err := decode(fsys, name, &one); err != nil {
			return nil, err
		}
		for key, text := range one {
			if _, twice := all[key]; twice {
				return nil, fmt.Errorf("%s: %q is in another file of %s too", name, key, dir)
			}
			all[key] = text
		}
	}
	return all, nil
}

func decode(fsys fs.FS, name string, into any) error {
	body, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// For returns the texts of the language with that tag, or English where there is none.
func For(tag string) *Strings {
	c := read()
	if s, ok := c.byTag[tag]; ok {
		return s
	}
	return c.byTag[English]
}

// Locale is the language of these texts.
func (s *Strings) Locale() Locale { return s.locale }

// T returns the text of key with {0}, {1}, … replaced by args. A text that the language lacks is
// the English one; a key that English lacks is returned itself, so that the page still stands.
func (s *Strings) T(key string, args ...any) string {
	return fill(s.text(key), args)
}

func (s *Strings) text(key string) string {
	if text, ok := s.own[key]; ok {
		return text
	}
	if text, ok := s.english[key]; ok {
		return text
	}
	return key
}

// Area returns the texts whose keys begin with one of the areas ("puzzle" has "puzzle.run"), for
// the script of a page; fallbacks are in it already, so the page needs one language only.
func (s *Strings) Area(areas ...string) map[string]string {
	texts := map[string]string{}
	for _, area := range areas {
		for key := range s.english {
			if strings.HasPrefix(key, area+".") {
				texts[key] = s.text(key)
			}
		}
	}
	return texts
}

// Keys returns a copy of all English texts by key.
func Keys() map[string]string { return maps.Clone(read().english) }

// fill replaces each {n} by args[n] in one pass: an argument that itself has a {0} in it, such as
// the name that a student chose, is text and stays as it is.
func fill(text string, args []any) string {
	if len(args) == 0 || !strings.Contains(text, "{") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		number, after, closed := strings.Cut(rest, "}")
		if n, err := strconv.Atoi(number); closed && err == nil && n >= 0 && n < len(args) {
			fmt.Fprint(&b, args[n])
			text = after
			continue
		}
		b.WriteByte('{')
		text = rest
	}
}
