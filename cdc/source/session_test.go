package source

import (
	"reflect"
	"testing"

	"changeover/internal/server"
)

func TestStatusVarsAreRead(t *testing.T) {
	shared := []byte{
		0, 0, 0, 0, 0x04, // flags2: no foreign key checks
		1, 0x20, 0, 0, 0, 0, 0, 0, 0, // sql_mode
		6, 3, 's', 't', 'd', // catalog
		3, 2, 0, 1, 0, // auto_increment
		4, 33, 0, 45, 0, 8, 0, // charsets
		5, 6, '+', '0', '2', ':', '0', '0', // time zone
	}
	want := SessionVars{
		SQLMode: ptr(uint64(0x20)), CharsetClient: 33, CollationConnection: 45, CollationServer: 8,
		TimeZone: "+02:00", AutoIncrementInc: 2, AutoIncrementOffset: 1, ForeignKeyChecks: ptr(false), UniqueChecks: ptr(true),
	}
	for name, c := range map[string]struct {
		flavor   server.Flavor
		more     []byte
		change   func(*SessionVars)
		complete bool
	}{
		"shared": {server.MySQL, nil, func(*SessionVars) {}, true},
		"MySQL": {server.MySQL, []byte{13, 1, 2, 0, 16, 1, 18, 255, 0, 12, 2, 'a', 0, 'b', 0, 20, 0}, func(s *SessionVars) {
			s.Microseconds, s.ExplicitDefaultsTS, s.DefaultCollationUTF8 = 513, ptr(true), 255
		}, true},
		"MySQL, too many databases": {server.MySQL, []byte{12, 254, 13, 1, 0, 0}, func(s *SessionVars) { s.Microseconds = 1 }, true},
		"MariaDB":                   {server.MariaDB, []byte{129, 1, 2, 3, 4, 5, 6, 7, 8, 128, 1, 2, 0}, func(s *SessionVars) { s.Microseconds = 513 }, true},
		"unknown code":              {server.MySQL, []byte{77, 13, 1, 2, 0}, func(*SessionVars) {}, false},
		"MySQL's code on MariaDB":   {server.MariaDB, []byte{13, 1, 2, 0}, func(*SessionVars) {}, false},
		"cut short":                 {server.MySQL, []byte{18, 1}, func(*SessionVars) {}, false},
	} {
		expected := want
		if c.flavor == server.MariaDB {
			expected.ExplicitDefaultsTS = ptr(false)
		}
		c.change(&expected)
		got, complete := parseStatusVars(c.flavor, append(shared[:len(shared):len(shared)], c.more...))
		if complete != c.complete || !reflect.DeepEqual(got, expected) {
			t.Errorf("%s: %+v %v", name, got, complete)
		}
	}
}

func FuzzStatusVars(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 4, 12, 2, 'a', 0, 'b', 0, 5, 200}, false)
	f.Fuzz(func(t *testing.T, vars []byte, mariaDB bool) {
		flavor := server.MySQL
		if mariaDB {
			flavor = server.MariaDB
		}
		parseStatusVars(flavor, vars)
	})
}
