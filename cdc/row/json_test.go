package row

import (
	"encoding/json"
	"testing"
)

func TestJSONIsSpelledAsTheServerSpells(t *testing.T) {
	for in, want := range map[string]string{
		``:                             `null`,
		`{"b":1,"a":[1,2.5]}`:          `{"b": 1, "a": [1, 2.5]}`,
		`[1e-05,1.5e+300,100000000.0]`: `[0.00001, 1.5e300, 100000000.0]`,
		`[1000000000000000.0,-1e15]`:   `[1e15, -1e15]`,
		`[999999999999999.0,0.0,-0.0]`: `[999999999999999.0, 0.0, -0.0]`,
		`12.50`:                        `12.50`,
		`"\u003ca\u0026\u2028\ud83d\ude00\u0001\"\\\/"`: "\"<a&\u2028😀\\u0001\\\"\\\\/\"",
		`"a:,{}[] 1.0e5"`: `"a:,{}[] 1.0e5"`,
	} {
		got, err := appendJSON(nil, []byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
}

func TestDecimalsInJSONAreWrittenByTheirPaths(t *testing.T) {
	for in, want := range map[string]string{
		`{"a": 12.5, "b": [1, 0.0, 1e20]}`:             `_utf8mb4'{"a": 12.5, "b": [1, 0.0, 1e20]}'`,
		`{"a": {"x.y": [7, -2.50]}, "b'": "0.10"}`:     `JSON_REPLACE(_utf8mb4'{"a": {"x.y": [7, -2.50]}, "b\'": "0.10"}',_utf8mb4'$."a"."x.y"[1]',-2.50)`,
		`123456789012345678901`:                        `JSON_REPLACE(_utf8mb4'123456789012345678901',_utf8mb4'$',123456789012345678901)`,
		`[18446744073709551615, -9223372036854775808]`: `_utf8mb4'[18446744073709551615, -9223372036854775808]'`,
		`-9223372036854775809`:                         `JSON_REPLACE(_utf8mb4'-9223372036854775809',_utf8mb4'$',-9223372036854775809)`,
	} {
		c := Column{Kind: JSON}
		if got := string(c.AppendLiteral(nil, Value(in))); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func FuzzJSONSpellingIsStableAndMeansTheSame(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.50,1e-05,"\u003c\\\""]}`))
	f.Add([]byte(`"\ud83d"`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		once, err := appendJSON(nil, doc)
		if err != nil || !json.Valid(doc) {
			return // whatever it is, nothing panics
		}
		if !json.Valid(once) {
			t.Fatalf("%q becomes %q, which is no JSON", doc, once)
		}
		twice, err := appendJSON(nil, once)
		if err != nil || string(twice) != string(once) {
			t.Fatalf("%q becomes %q, then %q, %v", doc, once, twice, err)
		}
		hasDecimal(once)
		_ = (&Column{Kind: JSON}).AppendLiteral(nil, once)
	})
}
