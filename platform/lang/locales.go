package lang

import "slices"

// English is the tag of the language that every other one falls back to.
const English = "en"

// Direction is the way a language is written, as HTML's dir attribute names it.
type Direction string

// The two directions that a page can have.
const (
	LeftToRight Direction = "ltr"
	RightToLeft Direction = "rtl"
)

// Locale is a language that the platform speaks.
type Locale struct {
	// Tag is the BCP 47 tag, also the name of the strings' file.
	Tag string
	// Name is what the language's readers call it, English what everybody else does.
	Name, English string
	Dir           Direction
	// Blockly is the name of Blockly's own locale file; empty where Blockly has none that fits, and
	// its blocks are in English then.
	Blockly string
}

// locales has English first, then the others by tag.
var locales = []Locale{
	{"en", "English", "English", LeftToRight, "en"},
	{"am", "አማርኛ", "Amharic", LeftToRight, "am"},
	{"ar", "العربية", "Arabic", RightToLeft, "ar"},
	{"az", "azərbaycanca", "Azerbaijani", LeftToRight, "az"},
	{"be", "беларуская", "Belarusian", LeftToRight, "be"},
	{"bg", "български", "Bulgarian", LeftToRight, "bg"},
	{"bn", "বাংলা", "Bangla", LeftToRight, "bn"},
	{"ca", "català", "Catalan", LeftToRight, "ca"},
	{"cs", "čeština", "Czech", LeftToRight, "cs"},
	{"cy", "Cymraeg", "Welsh", LeftToRight, ""},
	{"da", "dansk", "Danish", LeftToRight, "da"},
	{"de", "Deutsch", "German", LeftToRight, "de"},
	{"el", "Ελληνικά", "Greek", LeftToRight, "el"},
	{"es", "español", "Spanish", LeftToRight, "es"},
	{"et", "eesti", "Estonian", LeftToRight, "et"},
	{"eu", "euskara", "Basque", LeftToRight, "eu"},
	{"fa", "فارسی", "Persian", RightToLeft, "fa"},
	{"fi", "suomi", "Finnish", LeftToRight, "fi"},
	{"fil", "Filipino", "Filipino", LeftToRight, "tl"},
	{"fr", "français", "French", LeftToRight, "fr"},
	{"ga", "Gaeilge", "Irish", LeftToRight, "ga"},
	{"gl", "galego", "Galician", LeftToRight, "gl"},
	{"gu", "ગુજરાતી", "Gujarati", LeftToRight, ""},
	{"he", "עברית", "Hebrew", RightToLeft, "he"},
	{"hi", "हिन्दी", "Hindi", LeftToRight, "hi"},
	{"hr", "hrvatski", "Croatian", LeftToRight, "hr"},
	{"hu", "magyar", "Hungarian", LeftToRight, "hu"},
	{"hy", "հայերեն", "Armenian", LeftToRight, "hy"},
	{"id", "Bahasa Indonesia", "Indonesian", LeftToRight, "id"},
	{"is", "íslenska", "Icelandic", LeftToRight, "is"},
	{"it", "italiano", "Italian", LeftToRight, "it"},
	{"ja", "日本語", "Japanese", LeftToRight, "ja"},
	{"ka", "ქართული", "Georgian", LeftToRight, "ka"},
	{"kk", "қазақ тілі", "Kazakh", LeftToRight, ""},
	{"kn", "ಕನ್ನಡ", "Kannada", LeftToRight, "kn"},
	{"ko", "한국어", "Korean", LeftToRight, "ko"},
	{"lt", "lietuvių", "Lithuanian", LeftToRight, "lt"},
	{"lv", "latviešu", "Latvian", LeftToRight, "lv"},
	{"mk", "македонски", "Macedonian", LeftToRight, "mk"},
	{"ml", "മലയാളം", "Malayalam", LeftToRight, "ml"},
	{"mn", "монгол", "Mongolian", LeftToRight, ""},
	{"mr", "मराठी", "Marathi", LeftToRight, ""},
	{"ms", "Bahasa Melayu", "Malay", LeftToRight, "ms"},
	{"nb", "norsk bokmål", "Norwegian", LeftToRight, "nb"},
	{"ne", "नेपाली", "Nepali", LeftToRight, "ne"},
	{"nl", "Nederlands", "Dutch", LeftToRight, "nl"},
	{"pa", "ਪੰਜਾਬੀ", "Punjabi", LeftToRight, "pa"},
	{"pl", "polski", "Polish", LeftToRight, "pl"},
	{"pt", "português (Portugal)", "Portuguese (Portugal)", LeftToRight, "pt"},
	{"pt-BR", "português (Brasil)", "Portuguese (Brazil)", LeftToRight, "pt-br"},
	{"ro", "română", "Romanian", LeftToRight, "ro"},
	{"ru", "русский", "Russian", LeftToRight, "ru"},
	{"si", "සිංහල", "Sinhala", LeftToRight, "si"},
	{"sk", "slovenčina", "Slovak", LeftToRight, "sk"},
	{"sl", "slovenščina", "Slovenian", LeftToRight, "sl"},
	{"sq", "shqip", "Albanian", LeftToRight, "sq"},
	{"sr", "српски", "Serbian", LeftToRight, "sr"},
	{"sv", "svenska", "Swedish", LeftToRight, "sv"},
	{"sw", "Kiswahili", "Swahili", LeftToRight, "sw"},
	{"ta", "தமிழ்", "Tamil", LeftToRight, "ta"},
	{"te", "తెలుగు", "Telugu", LeftToRight, "te"},
	{"th", "ไทย", "Thai", LeftToRight, "th"},
	{"tr", "Türkçe", "Turkish", LeftToRight, "tr"},
	{"uk", "українська", "Ukrainian", LeftToRight, "uk"},
	{"ur", "اردو", "Urdu", RightToLeft, "ur"},
	{"uz", "oʻzbekcha", "Uzbek", LeftToRight, "uz"},
	{"vi", "Tiếng Việt", "Vietnamese", LeftToRight, "vi"},
	{"zh-Hans", "简体中文", "Chinese (Simplified)", LeftToRight, "zh-hans"},
	{"zh-Hant", "繁體中文", "Chinese (Traditional)", LeftToRight, "zh-hant"},
}

// All returns the languages, English first, then by tag.
func All() []Locale { return slices.Clone(locales) }
