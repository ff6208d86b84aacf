package row

import "testing"

func TestTextThatBecomesMariaDBsOwnTypesIsSpelledAsItSpellsIt(t *testing.T) {
	for from, want := range map[string]string{
		"123e4567-e89b-12d3-a456-426655440000": "123e4567-e89b-12d3-a456-426655440000",
		"123E4567-E89B-12D3-A456-426655440000": "123e4567-e89b-12d3-a456-426655440000",
		"123E4567E89B12D3A456426655440000":     "123e4567-e89b-12d3-a456-426655440000",
		"123e4567-e89b-12d3-a456-42665544000":  "123e4567-e89b-12d3-a456-42665544000",
		"no uuid":                              "no uuid",
		"":                                     "",
		"zzze4567-e89b-12d3-a456-426655440000": "zzze4567-e89b-12d3-a456-426655440000",
	} {
		if got := string(appendUUIDText(nil, from)); got != want {
			t.Errorf("%q is spelled %q, not %q", from, got, want)
		}
	}
	for _, c := range []struct {
		bytes      int
		from, want string
	}{
		{16, "::1", "::1"}, {16, "2001:DB8:0:0::0001", "2001:db8::1"}, {16, "::FFFF:1.2.3.4", "::ffff:1.2.3.4"}, {16, "fe80::1%eth0", "fe80::1%eth0"},
		{16, "1.2.3.4", "1.2.3.4"}, {4, "1.2.3.4", "1.2.3.4"}, {4, "::1", "::1"}, {4, "nonsense", "nonsense"},
	} {
		if got := string(appendInetText(nil, c.from, c.bytes)); got != c.want {
			t.Errorf("%q in %d bytes is spelled %q, not %q", c.from, c.bytes, got, c.want)
		}
	}
}
