package seed

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

// passwordCost is how much work a password is to check, as the platform's own are.
const passwordCost = bcrypt.MinCost + 4

const userColumns = "id, op_id, op_digest, kind, name, login, email_hash, password, birth_year, locale, settings, total_lines, created_at, updated_at"

// person is a row of users.
type person struct {
	id            int64
	kind, name    string
	login         string // and the address: LOGIN@school.example; empty: a guest
	born          int64
	locale        string
	lines         int64
	made, changed int64 // ms
	settings      string
}

func (s *school) writePeople(ctx context.Context, w *writer) error {
	hash, err := s.passwordHash()
	if err != nil {
		return err
	}
	t := w.table(ctx, "users", userColumns)
	c := newChance(s.o.Seed, streamPeople)
	before := s.start.AddDate(0, 0, -7).UnixMilli()
	grown := func(id int64, kind string, n int) error {
		name, locale := c.name()
		at := before + c.Int64N(3*24*3600)*1000
		return t.person(c, hash, person{id: id, kind: kind, name: name, login: fmt.Sprintf("%s-%d", kind, n), born: 1950 + c.Int64N(55), locale: locale, made: at, changed: at})
	}
	for i := range s.teachers {
		if err := grown(s.teacher(i+1), "teacher", i+1); err != nil {
			return err
		}
	}
	for i := range s.organisers {
		if err := grown(s.organiser(i), "organiser", i+1); err != nil {
			return err
		}
	}
	for i := range s.learners {
		if err := t.person(c, hash, s.person(c, i, before)); err != nil {
			return err
		}
	}
	return t.flush()
}

func (s *school) person(c chance, i int, before int64) person {
	who := s.learners[i]
	p := person{id: s.learner(i), kind: "guest", locale: "en", lines: who.lines, made: before + c.Int64N(5*24*3600)*1000}
	name, locale := c.name()
	if i < s.o.Students {
		p.kind, p.name, p.login, p.locale, p.born = "student", name, fmt.Sprintf("student-%d", i+1), locale, 2008+c.Int64N(12)
	} else if len(who.done) > 0 { // a guest comes with the first click
		p.made, p.locale = who.done[0].first-c.Int64N(90_000)-1000, locale
	}
	p.changed = p.made
	for _, d := range who.done {
		p.changed = max(p.changed, d.last)
	}
	return p
}

// writeEnd writes the admin: a school that has one is complete.
func (s *school) writeEnd(ctx context.Context, w *writer) error {
	hash, err := s.passwordHash()
	if err != nil {
		return err
	}
	settings, err := json.Marshal(map[string]Options{"seed": s.o})
	if err != nil {
		return err
	}
	t := w.table(ctx, "users", userColumns)
	at := s.start.AddDate(0, 0, -14).UnixMilli()
	if err := t.person(newChance(s.o.Seed, 0), hash, person{id: adminID, kind: "admin", name: "Admin", login: "admin", born: 1980, locale: "en",
		made: at, changed: at, settings: string(settings)}); err != nil {
		return err
	}
	return t.flush()
}

// passwordHash is one for all: making one for each would take longer than everything else.
func (s *school) passwordHash() ([]byte, error) {
	if len(s.o.Password) == 0 {
		return nil, nil
	}
	hash, err := bcrypt.GenerateFromPassword(s.o.Password, passwordCost)
	if err != nil {
		return nil, fmt.Errorf("the password: %w", err)
	}
	return hash, nil
}

func (t *table) person(c chance, hash []byte, p person) error {
	op := c.id(p.made)
	t.row().number(p.id).bytes(op[:]).bytes(c.bytes(16)).string(p.kind).string(p.name)
	if p.login == "" {
		t.null().null().null().null()
	} else {
		address := sha256.Sum256([]byte(p.login + "@school.example"))
		t.string(p.login).bytes(address[:])
		if hash == nil {
			t.null()
		} else {
			t.bytes(hash)
		}
		t.number(p.born)
	}
	t.string(p.locale)
	if p.settings == "" {
		t.null()
	} else {
		t.string(p.settings)
	}
	t.number(p.lines).time(p.made).time(p.changed)
	return t.end()
}

// names are given names by language, and beginnings of family names.
var names = []struct {
	locale       string
	given        []string
	beforeFamily string
}{
	{"en", []string{"Ava", "Noah", "Mia", "Oliver", "Zoe", "Jack", "Ruby", "Leo"}, " "},
	{"de", []string{"Jürgen", "Käthe", "Mats", "Lotte", "Björn", "Frieda", "Emil"}, " "},
	{"fr", []string{"Zoé", "Anaïs", "Loïc", "Hélène", "François", "Chloé"}, " "},
	{"es", []string{"Íñigo", "María José", "Ángel", "Begoña", "Nicolás"}, " "},
	{"pl", []string{"Łukasz", "Zofia", "Małgorzata", "Wojciech", "Żaneta"}, " "},
	{"tr", []string{"İpek", "Çağla", "Oğuz", "Şule", "Umut"}, " "},
	{"vi", []string{"Nguyễn Thị Hoa", "Trần Minh", "Lê Đức", "Phạm Ánh"}, " "},
	{"ru", []string{"Алёна", "Дмитрий", "Светлана", "Юрий", "Надежда"}, " "},
	{"uk", []string{"Олеся", "Їжак", "Ґалаґан", "Євген"}, " "},
	{"el", []string{"Ελένη", "Γιώργος", "Άννα", "Νίκος"}, " "},
	{"ar", []string{"فاطمة", "يوسف", "ليلى", "عمر", "مريم"}, " "},
	{"he", []string{"נועה", "דוד", "תמר", "יוסף"}, " "},
	{"fa", []string{"پریسا", "کیان", "نازنین", "آرش"}, " "},
	{"hi", []string{"आरव", "प्रिया", "कृष्ण", "लक्ष्मी"}, " "},
	{"bn", []string{"অনন্যা", "রহিম", "সুমাইয়া"}, " "},
	{"ta", []string{"கவிதா", "முருகன்", "செல்வி"}, " "},
	{"th", []string{"สมชาย", "มาลี", "อรทัย"}, " "},
	{"ja", []string{"さくら", "太郎", "葵", "ハルト", "結衣"}, ""},
	{"ko", []string{"김민준", "이서연", "박지후"}, ""},
	{"zh-hans", []string{"李娜", "王伟", "𠮷田", "张敏"}, ""},
	{"am", []string{"አበበ", "ሳራ", "ዮሐንስ"}, " "},
	{"ka", []string{"ნინო", "გიორგი", "თამარ"}, " "},
	{"hy", []string{"Անի", "Տիգրան", "Նարե"}, " "},
}

var emoji = []string{"🦦", "🚀", "👩🏽‍💻", "🌈", "🐉", "⭐", "🧩", "🏳️‍🌈"}

// name is somebody's name, and the language that goes with it.
func (c chance) name() (name, locale string) {
	from := pick(c, names)
	name = pick(c, from.given)
	if from.beforeFamily != "" {
		name += from.beforeFamily + string(rune('A'+c.IntN(26))) + "."
	}
	if c.of(0.06) {
		name += pick(c, emoji)
	}
	return name, from.locale
}
