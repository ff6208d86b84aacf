package lang

import (
	"fmt"
	"maps"
	"slices"

	"changeover/platform/curriculum"
)

// courses are the English texts of the curriculum by key: level.otter.title, level.otter.3.title and
// level.otter.3.text. They stay in the curriculum, so that a level is written in one place.
func courses(scripts []curriculum.Script) map[string]string {
	texts := map[string]string{}
	for _, s := range scripts {
		texts["level."+s.Name+".title"] = s.Title
		for i, l := range s.Levels {
			texts[fmt.Sprintf("level.%s.%d.title", s.Name, i+1)] = l.Title
			texts[fmt.Sprintf("level.%s.%d.text", s.Name, i+1)] = l.Instructions
		}
	}
	return texts
}

// byText turns the texts of the curriculum round; of two keys with one text the first is taken.
func byText(texts map[string]string) map[string]string {
	keys := map[string]string{}
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(texts))) {
		keys[texts[key]] = key
	}
	return keys
}

// Course returns the translation of a text of the curriculum: the title of a course, or a level's
// title or instructions, as the database has it. It goes by the text and not by the level's number: a
// database that was seeded with an older curriculum, or that a school has added its own course to,
// must not show the translation of something else. A text that isn't the curriculum's is returned.
func (s *Strings) Course(text string) string {
	if key, ok := s.courses[text]; ok {
		return s.text(key)
	}
	return text
}
