package lang

import (
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// acceptLimit bounds the languages that are read from one Accept-Language header: nobody reads
// more, and a header may be as long as the server takes.
const acceptLimit = 32

// Match returns the language for a reader: the page's ?lang= if it is one, else the cookie's, else
// the best of Accept-Language, else English. Each may be empty or nonsense.
func Match(acceptLanguage, cookie, query string) Locale {
	for _, chosen := range []string{query, cookie} {
		// Our own tags first, word for word: "pt" is Portugal's here, but Brazil's to the matcher.
		if i := slices.IndexFunc(locales, func(l Locale) bool { return strings.EqualFold(l.Tag, chosen) }); i >= 0 {
			return locales[i]
		}
		if tag, err := language.Parse(chosen); err == nil {
			if l, ok := nearest(tag); ok {
				return l
			}
		}
	}
	l, _ := nearest(accepted(acceptLanguage)...)
	return l
}

// nearest is the language of ours that readers of these read best, by CLDR's distances: Mexican
// Spanish is near Spanish, Chinese as in Taiwan near traditional Chinese. False, with English, if
// none is near.
func nearest(tags ...language.Tag) (Locale, bool) {
	_, i, confidence := matcher().Match(tags...)
	if confidence == language.No {
		return locales[0], false
	}
	return locales[i], true
}

// matcher is built once: it takes a millisecond, and a page must not pay that.
var matcher = sync.OnceValue(func() language.Matcher {
	var tags []language.Tag
	for _, l := range locales {
		tag := language.Make(l.Tag)
		if l.Tag == "pt" {
			// CLDR takes bare pt for Brazil's; Angola, Mozambique and Portugal are near pt-PT.
			tag = language.EuropeanPortuguese
		}
		tags = append(tags, tag)
	}
	return language.NewMatcher(tags)
})

// accepted reads an Accept-Language header entry by entry, best first: one entry that isn't a
// language must not hide the others.
func accepted(header string) []language.Tag {
	type wish struct {
		tag     language.Tag
		quality float32
	}
	var wishes []wish
	for i, entry := range strings.Split(header, ",") {
		if i == acceptLimit {
			break
		}
		tags, qualities, err := language.ParseAcceptLanguage(entry)
		if err != nil {
			continue
		}
		for j, tag := range tags {
			wishes = append(wishes, wish{tag, qualities[j]})
		}
	}
	slices.SortStableFunc(wishes, func(a, b wish) int {
		switch {
		case a.quality > b.quality:
			return -1
		case a.quality < b.quality:
			return 1
		}
		return 0
	})
	tags := make([]language.Tag, len(wishes))
	for i, w := range wishes {
		tags[i] = w.tag
	}
	return tags
}
