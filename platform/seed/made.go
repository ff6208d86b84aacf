package seed

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// writeHours writes the Hours of Code of the guests: begun with the first click, and finished by most.
func (s *school) writeHours(ctx context.Context, w *writer) error {
	t := w.table(ctx, "hoc_activity", "id, op_id, op_digest, finish_op, user_id, script_id, ip, country, referer, started_at, finished_at, certificate, name")
	c := newChance(s.o.Seed, streamHours)
	for i := s.o.Students; i < len(s.learners); i++ {
		who := s.learners[i]
		if len(who.done) == 0 {
			continue
		}
		from := who.done[0].first - 800
		op := c.id(from)
		t.row().number(int64(i - s.o.Students + 1)).bytes(op[:]).bytes(c.bytes(16))
		finished := c.of(0.6)
		var last int64
		for _, d := range who.done {
			last = max(last, d.last)
		}
		if finished {
			finish := c.id(last)
			t.bytes(finish[:])
		} else {
			t.null()
		}
		t.number(s.learner(i)).number(s.levels[who.done[0].level].script).bytes(c.address()).string(pick(c, cities).country).string("").time(from)
		if finished {
			name, _ := c.name()
			certificate := c.bytes(16)
			certificate[6], certificate[8] = certificate[6]&0x0f|0x40, certificate[8]&0x3f|0x80 // a UUID of chance alone
			t.time(last + 5000).bytes(certificate).string(name)
		} else {
			t.null().null().null()
		}
		if err := t.end(); err != nil {
			return err
		}
	}
	return t.flush()
}

// address is one of the networks that are for examples (RFC 5737, RFC 3849).
func (c chance) address() []byte {
	if c.of(0.4) {
		return append([]byte{0x20, 0x01, 0x0d, 0xb8}, c.bytes(12)...)
	}
	return []byte{203, 0, 113, byte(c.IntN(256))}
}

// made is one project.
type made struct {
	id    int64
	owner int
	kind  string
	title string
	at    int64
}

var titles = []string{"Midnight disco 🪩", "My first dance", "Танец роботов", "踊るネコ", "Quiz of the rivers", "Calculadora", "رقصة النجوم", "Shopping list 🛒", "घड़ी", "Höher, schneller", "Poll: best animal 🦦", "숫자 맞히기"}

func (s *school) writeProjects(ctx context.Context, w *writer) error {
	if s.o.Students == 0 {
		return nil
	}
	t := w.table(ctx, "projects", "id, uuid, op_id, op_digest, last_op, last_digest, owner_id, kind, title, source, version, shared, remixed_from, created_at, updated_at")
	c := newChance(s.o.Seed, streamProjects)
	for n := range s.o.Projects {
		p := made{id: int64(n + 1), owner: c.IntN(s.o.Students), kind: "dance", title: pick(c, titles)}
		p.at = s.start.UnixMilli() + c.Int64N(max(1, s.o.Until.Sub(s.start).Milliseconds()))
		source := dance(c)
		if c.of(0.5) {
			p.kind, source = "applab", app(c)
			s.apps = append(s.apps, p)
		}
		uuid, op, digest := c.id(p.at-1), c.id(p.at), c.bytes(16)
		t.row().number(p.id).bytes(uuid[:]).bytes(op[:]).bytes(digest).bytes(op[:]).bytes(digest).number(s.learner(p.owner)).
			string(p.kind).string(p.title).string(source).number(1).number(int64(c.IntN(2))).null().time(whole(p.at)).time(p.at)
		if err := t.end(); err != nil {
			return err
		}
	}
	return t.flush()
}

var dancers, moves = []string{"cat", "robot", "all"}, []string{"slide", "any"}

// dance is a project's source as the page saves it.
func dance(c chance) string {
	block := func(kind string, fields map[string]any, next any) map[string]any {
		b := map[string]any{"type": kind, "fields": fields}
		if next != nil {
			b["next"] = map[string]any{"block": next}
		}
		return b
	}
	who := pick(c, dancers[:2])
	start := map[string]any{"type": "dance_start", "x": 30, "y": 30, "inputs": map[string]any{"DO": map[string]any{"block": block("dance_background", map[string]any{"NAME": "disco"},
		block("dance_show", map[string]any{"WHO": who, "PLACE": pick(c, []string{"left", "right"})},
			block("dance_keep", map[string]any{"WHO": who, "MOVE": "slide"}, nil)))}}}
	every := map[string]any{"type": "dance_every", "x": 30, "y": 340, "fields": map[string]any{"N": 1 + c.IntN(8)},
		"inputs": map[string]any{"DO": map[string]any{"block": block("dance_once", map[string]any{"WHO": "all", "MOVE": pick(c, moves)}, nil)}}}
	return text(map[string]any{"blocks": map[string]any{"blocks": map[string]any{"languageVersion": 0, "blocks": []any{start, every}}}})
}

var programsOfApps = []string{
	"label(\"hello\", \"Hello 🌍\");\nbutton(\"more\", \"More\");\nvar n = 0;\nonEvent(\"more\", \"click\", function () {\n  n = n + 1;\n  setText(\"hello\", \"You clicked \" + n + \" times\");\n});\n",
	"input(\"name\", \"Your name\");\nbutton(\"save\", \"Save\");\nonEvent(\"save\", \"click\", function () {\n  createRecord(\"scores\", { name: getText(\"name\"), points: randomNumber(1, 100) });\n});\n",
	"var all = readRecords(\"scores\");\nfor (var i = 0; i < all.length; i++) {\n  write(all[i].name + \": \" + all[i].points);\n}\n",
}

func app(c chance) string {
	return text(map[string]any{"code": pick(c, programsOfApps), "libraries": []any{}})
}

func text(v any) string {
	b, _ := json.Marshal(v) // maps, texts and numbers
	return string(b)
}

// recordsOf is how many records the app's table has; the same for every part of the seed.
func recordsOf(p made) int { return 3 + int(p.id%6) }

func (s *school) writeAppTables(ctx context.Context, w *writer) error {
	tables := w.table(ctx, "data_tables", "project_id, name, columns, last_id, created_at")
	pairs := w.table(ctx, "data_kvs", "project_id, `key`, value, version, last_op, last_digest, updated_at")
	libraries := w.table(ctx, "libraries", "project_id, version, op_id, op_digest, name, description, source, functions, created_at")
	c := newChance(s.o.Seed, streamProjects+100)
	for i, p := range s.apps {
		tables.row().number(p.id).string("scores").string(`["name","points"]`).number(int64(recordsOf(p))).time(whole(p.at + 60_000))
		if err := tables.end(); err != nil {
			return err
		}
		op := c.id(p.at + 70_000)
		pairs.row().number(p.id).string(pick(c, []string{"best", "рекорд", "最高", "🏆"})).string(fmt.Sprint(c.IntN(1000))).number(1).bytes(op[:]).bytes(c.bytes(16)).time(p.at + 70_000)
		if err := pairs.end(); err != nil {
			return err
		}
		if i%10 != 0 {
			continue
		}
		op = c.id(p.at + 80_000)
		name := pick(c, []string{"shapes", "dice", "quiz helpers", "colours"})
		libraries.row().number(p.id).number(1).bytes(op[:]).bytes(c.bytes(16)).string(name).string("Functions for " + name + ", to be used in other apps.").
			string("function roll(sides) {\n  return randomNumber(1, sides);\n}\n").string(`["roll"]`).time(whole(p.at + 80_000))
		if err := libraries.end(); err != nil {
			return err
		}
	}
	for _, t := range []*table{tables, pairs, libraries} {
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (s *school) writeAppRecords(ctx context.Context, w *writer) error {
	t := w.table(ctx, "data_records", "project_id, table_name, id, op_id, op_digest, last_op, last_digest, version, value")
	c := newChance(s.o.Seed, streamProjects+200)
	for _, p := range s.apps {
		for n := range recordsOf(p) {
			op, digest := c.id(p.at+60_000+int64(n)*1000), c.bytes(16)
			name, _ := c.name()
			t.row().number(p.id).string("scores").number(int64(n + 1)).bytes(op[:]).bytes(digest).bytes(op[:]).bytes(digest).number(1).
				string(text(map[string]any{"name": name, "points": c.IntN(100)}))
			if err := t.end(); err != nil {
				return err
			}
		}
	}
	return t.flush()
}

// cities are where events are held.
var cities = []struct {
	country, name   string
	latitude, longi float64
}{
	{"DE", "Köln", 50.9375, 6.9603}, {"US", "Seattle", 47.6062, -122.3321}, {"FR", "Nîmes", 43.8367, 4.3601}, {"BR", "São Paulo", -23.5505, -46.6333},
	{"PL", "Łódź", 51.7592, 19.456}, {"TR", "İzmir", 38.4237, 27.1428}, {"JP", "大阪", 34.6937, 135.5023}, {"CN", "成都", 30.5728, 104.0668},
	{"IN", "पुणे", 18.5204, 73.8567}, {"EG", "القاهرة", 30.0444, 31.2357}, {"UA", "Львів", 49.8397, 24.0297}, {"KE", "Nairobi", -1.2921, 36.8219},
	{"NZ", "Ōtautahi", -43.5321, 172.6362}, {"IS", "Reykjavík", 64.1466, -21.9426}, {"GR", "Θεσσαλονίκη", 40.6401, 22.9444}, {"VN", "Hà Nội", 21.0278, 105.8342},
	{"KR", "부산", 35.1796, 129.0756}, {"IL", "חיפה", 32.794, 34.9896}, {"ET", "አዲስ አበባ", 8.9806, 38.7578}, {"MX", "Mérida", 20.9674, -89.5926},
}

func (s *school) writeEvents(ctx context.Context, w *writer) error {
	t := w.table(ctx, "hoc_events", "id, op_id, op_digest, last_op, last_digest, secret, version, name, description, country, city, latitude, longitude, "+
		"on_date, at_time, hours, size, features, created_at, updated_at")
	c := newChance(s.o.Seed, streamEvents)
	week := time.Date(s.o.Until.Year(), 12, 7, 0, 0, 0, 0, time.UTC)
	for n := range s.o.Events {
		in := pick(c, cities)
		at := s.start.UnixMilli() + c.Int64N(max(1, s.o.Until.Sub(s.start).Milliseconds()))
		op, digest := c.id(at), c.bytes(16)
		t.row().number(int64(n + 1)).bytes(op[:]).bytes(digest).bytes(op[:]).bytes(digest).bytes(c.bytes(32)).number(1).
			string("Hour of Code, " + in.name + pick(c, []string{"", " 🎉", " 💻", " (Stadtbibliothek)"})).
			string("An hour for everybody who wants to try what programming is.").string(in.country).string(in.name).
			decimals(in.latitude).decimals(in.longi).string(week.AddDate(0, 0, c.IntN(7)).Format(time.DateOnly))
		if c.of(0.8) {
			t.string(fmt.Sprintf("%02d:%02d:00", 8+c.IntN(10), 15*c.IntN(4)))
		} else {
			t.null()
		}
		t.decimal(int64(50 * (1 + c.IntN(8)))).number(5 + c.Int64N(300)).string(pick(c, []string{"", "school", "online", "school,public", "public,girls", "unplugged"})).
			time(whole(at)).time(at)
		if err := t.end(); err != nil {
			return err
		}
	}
	return t.flush()
}

// decimals writes a degree.
func (t *table) decimals(degrees float64) *table {
	t.comma()
	t.text = fmt.Appendf(t.text, "%.6f", degrees)
	return t
}
