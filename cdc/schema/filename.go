package schema

import (
	"fmt"
	"strconv"
	"strings"
)

// filenames encodes identifiers as InnoDB's dictionary has them: letters, digits and _ stand for
// themselves, some letters of other alphabets are @ and two characters, all else is @ and four
// hexadecimal digits. The charset is called filename; a server converts to it only for itself.
type filenames map[rune]string

func newFilenames() filenames {
	f := filenames{}
	for line := range strings.Lines(strings.TrimSpace(filenameCodes)) {
		first, codes, _ := strings.Cut(strings.TrimSpace(line), " ")
		r, _ := strconv.ParseUint(first, 16, 32)
		for i := 0; i+1 < len(codes); i += 2 {
			f[rune(r)+rune(i/2)] = codes[i : i+2]
		}
	}
	return f
}

// encode encodes a database's or a table's name.
func (f filenames) encode(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch code, ok := f[r]; {
		case r == '_' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' && r < 0x80:
			b.WriteRune(r)
		case ok:
			b.WriteString("@" + code)
		default:
			fmt.Fprintf(&b, "@%04x", r)
		}
	}
	return b.String()
}

// tableOf cuts a dictionary's name into the table's, encoded, and the partition's; the latter is
// empty where the table has none. A # of the name itself would be encoded; @@@ marks names that
// some system has devices of.
func tableOf(entry string) (table, partition string) {
	table, partition, _ = strings.Cut(entry, "#")
	return strings.TrimSuffix(table, "@@@"), partition
}
