package normal

import "strings"

// defaults are the collations that character sets have by the servers' own making, as far as it is not
// <charset>_general_ci. SHOW CREATE leaves a collation out where it is this one.
var defaults = map[string]string{
	"latin1": "latin1_swedish_ci", "binary": "binary", "swe7": "swe7_swedish_ci", "dec8": "dec8_swedish_ci", "hp8": "hp8_english_ci",
	"big5": "big5_chinese_ci", "gb2312": "gb2312_chinese_ci", "gbk": "gbk_chinese_ci", "gb18030": "gb18030_chinese_ci", "latin5": "latin5_turkish_ci",
	"euckr": "euckr_korean_ci", "ujis": "ujis_japanese_ci", "sjis": "sjis_japanese_ci", "cp932": "cp932_japanese_ci",
	"eucjpms": "eucjpms_japanese_ci", "tis620": "tis620_thai_ci",
}

// collationOf is the collation of a character set for which none is shown.
func (r *reader) collationOf(charset string) string {
	charset = charsetName(charset)
	if charset == "utf8mb4" && !r.maria() && !strings.HasPrefix(r.server.Version, "5.") {
		return "utf8mb4_0900_ai_ci"
	}
	if c := defaults[charset]; c != "" {
		return c
	}
	return charset + "_general_ci"
}

// charsetName is the name of today: utf8 is utf8mb3.
func charsetName(s string) string {
	if s = strings.ToLower(s); s == "utf8" {
		return "utf8mb3"
	}
	return s
}

// collationName is the same for collations.
func collationName(s string) string {
	s = strings.ToLower(s)
	if rest, ok := strings.CutPrefix(s, "utf8_"); ok {
		return "utf8mb3_" + rest
	}
	return s
}
