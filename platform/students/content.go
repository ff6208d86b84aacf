package students

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"strings"

	"changeover/platform/students/ledger"
)

// Names and texts in many scripts, emoji too: what an encoding can spoil, it will.
var (
	names = []string{"Ada", "Zoë", "Björn", "José", "Łukasz", "Ayşe", "Дарья", "Ελένη", "יעל", "فاطمة", "प्रिया", "小明", "さくら", "민준", "Nguyễn", "Ada 🦊", "👩‍🚀 Mae"}
	words = []string{"hello", "grüß dich", "привет", "שלום", "سلام", "नमस्ते", "你好", "こんにちは", "안녕", "🎉", "🐍🐢", "¡hola!", "a\\b \"c\" 'd'"}

	// Sections are still utf8mb3: no emoji.
	sectionNames = []string{"5b", "Klasse 4a", "Año 6", "三年级", "Класс 7", "الصف الخامس", "कक्षा ६", "Form 2"}

	cities    = []string{"Seattle", "São Paulo", "München", "Kraków", "İzmir", "Αθήνα", "القاهرة", "मुंबई", "上海", "東京", "Reykjavík"}
	countries = []string{"US", "BR", "DE", "PL", "TR", "GR", "EG", "IN", "CN", "JP", "IS"}
	locales   = []string{"en", "en", "en", "es", "pt-BR", "de", "fr", "tr", "ar", "hi", "zh-Hans", "ja"}
)

func oneOf[T any](r *mathrand.Rand, from []T) T { return from[r.IntN(len(from))] }

// token is what a browser makes for a session, an event's secret, a password.
func token() (text string, raw [32]byte) {
	_, _ = rand.Read(raw[:])
	return base64.RawURLEncoding.EncodeToString(raw[:]), raw
}

// popular is how many programs of a level make up most of its Runs.
const popular = 40

// program is the text of a Blockly workspace. Seven of ten are among the popular ones of the level,
// the first of them far more often than the last; the rest are nobody else's.
func program(r *mathrand.Rand, level int, passed bool) string {
	variant, mark := 0, ""
	if r.Float64() < 0.7 {
		variant = int(popular * r.Float64() * r.Float64())
	} else {
		variant = popular + r.IntN(1000)
		mark = fmt.Sprintf("%s %08x", oneOf(r, words), r.Uint32())
	}
	var b strings.Builder
	b.WriteString(`{"blocks":{"languageVersion":0,"blocks":[`)
	kinds := [...]string{"move", "left", "right", "repeat", "if_path", "while_goal"}
	n := 3 + (variant*7+level)%14
	for i := range n {
		fmt.Fprintf(&b, `{"type":%q,"id":"b%d_%d_%d","fields":{"TIMES":%d,"OK":%t},"next":{"block":`, kinds[(variant+i*i)%len(kinds)], level, variant, i, i%5+1, passed)
	}
	fmt.Fprintf(&b, `{"type":"say","fields":{"TEXT":%q}}`, mark)
	b.WriteString(strings.Repeat("}}", n))
	b.WriteString(`]}}`)
	return b.String()
}

// appSource is an app's, as the editor saves it: code that grows, and a design.
func appSource(r *mathrand.Rand, version int64) map[string]any {
	var code strings.Builder
	for i := range 10 + r.IntN(40) {
		fmt.Fprintf(&code, "onEvent('button%d', 'click', function () { setText('label', %q); });\n", i, oneOf(r, words))
	}
	return map[string]any{"code": code.String(), "edits": version, "design": map[string]any{"screen": oneOf(r, words), "size": []int{320, 450}}}
}

func recordValue(r *mathrand.Rand) map[string]any {
	return map[string]any{"name": oneOf(r, names), "score": r.IntN(1000), "word": oneOf(r, words), "done": r.IntN(2) == 0}
}

// event is what is said of an event, but for its id, secret and version.
type event struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Country     string   `json:"country"`
	City        string   `json:"city"`
	Latitude    float64  `json:"latitude"`
	Longitude   float64  `json:"longitude"`
	Date        string   `json:"date"`
	Time        string   `json:"time"`
	Hours       float64  `json:"hours"`
	Size        int      `json:"size"`
	Features    []string `json:"features"`
}

func newEvent(r *mathrand.Rand) event {
	i := r.IntN(len(cities))
	return event{Name: "Hour of Code " + oneOf(r, words), Description: strings.Repeat(oneOf(r, words)+" ", 20) + oneOf(r, names),
		Country: countries[i], City: cities[i], Latitude: float64(r.IntN(180_000)-90_000) / 1000, Longitude: float64(r.IntN(360_000)-180_000) / 1000,
		Date: fmt.Sprintf("2026-12-%02d", 7+r.IntN(7)), Time: fmt.Sprintf("%02d:%02d", 8+r.IntN(8), 15*r.IntN(4)),
		Hours: float64(1+r.IntN(8)) / 2, Size: 1 + r.IntN(400), Features: []string{"school"}}
}

// digest is over what an audit reads back.
func (e event) digest() ledger.Digest {
	return ledger.EventDigest(e.Name, e.Description, e.Country, e.City, e.Date, e.Size)
}
