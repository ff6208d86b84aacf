package store_test

import (
	"testing"

	"changeover/platform/platformtest"
	"changeover/platform/store"
)

func TestASearchFindsWordsOfEveryLanguage(t *testing.T) {
	flavors(t, func(t *testing.T, p *platformtest.Platform) {
		for _, e := range []store.Event{
			{Name: "The Hour of Code", City: "Ísafjörður", Description: "How to begin: about it all"},
			{Name: "プログラミング教室", City: "東京", Description: "はじめての一時間"},
			{Name: "कोड का एक घंटा", City: "मुंबई"},
			{Name: "ساعة برمجة", City: "القاهرة"},
		} {
			e.Country, e.Date, e.Hours, e.Size = "IS", "2026-12-07", 1, 30
			must[store.Event](t)(second(p.Store.NewEvent(t.Context(), platformtest.Op(e.Name), newToken(t), e)))
		}
		for words, found := range map[string]int{
			"": 4, "hour": 1, "HOUR code": 1, "hour of code": 1, "the hour": 1, "about": 1, "hou": 1, "isafj": 1, "hour tokyo": 0, "東京": 1, "プログラ": 1, "मुंबई": 1, "घंटा": 1,
			"القاهرة": 1, "+(*\"<>~@-": 4, "it": 1, "100%": 0, "_": 4, "of%": 1,
		} {
			if got := must[[]store.Event](t)(p.Store.Events(t.Context(), words, "", "")); len(got) != found {
				t.Errorf("%q finds %d events, not %d", words, len(got), found)
			}
		}
	})
}
