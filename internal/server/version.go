package server

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Version is a server's version, for comparing.
type Version struct {
	Flavor              Flavor
	Major, Minor, Patch int
}

var versionNumbers = regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?`)

// ParseVersion reads what SELECT VERSION() says: 8.0.44, 10.11.19-MariaDB-deb12, and MariaDB's
// 5.5.5-10.11.19-MariaDB, where the first part is for old clients.
func ParseVersion(s string) (Version, error) {
	v := Version{Flavor: MySQL}
	numbers := s
	if strings.Contains(s, "MariaDB") {
		v.Flavor = MariaDB
		numbers = strings.TrimPrefix(s, "5.5.5-")
	}
	m := versionNumbers.FindStringSubmatch(numbers)
	if m == nil {
		return v, fmt.Errorf("%q is not a server's version", s)
	}
	v.Major, _ = strconv.Atoi(m[1])
	v.Minor, _ = strconv.Atoi(m[2])
	v.Patch, _ = strconv.Atoi(m[3])
	return v, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// AtLeast compares within the flavor: MariaDB's 10 says nothing about MySQL's 8.
func (v Version) AtLeast(major, minor, patch int) bool {
	return cmp.Or(cmp.Compare(v.Major, major), cmp.Compare(v.Minor, minor), cmp.Compare(v.Patch, patch)) >= 0
}

// SameSeries tells whether two versions differ in no more than the patch.
func (v Version) SameSeries(o Version) bool {
	return v.Flavor == o.Flavor && v.Major == o.Major && v.Minor == o.Minor
}
