package source

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// interval is a run of numbers, both ends included.
type interval struct{ first, last uint64 }

// intervals is a set of numbers: sorted, apart from each other by at least one number.
type intervals []interval

// add puts first…last in; the next number after the last interval costs nothing.
func (s *intervals) add(first, last uint64) {
	if n := len(*s); n > 0 && (*s)[n-1].last+1 == first {
		(*s)[n-1].last = last
		return
	}
	// All that overlap or touch first…last become one: those from i up to, not including, j.
	i := sort.Search(len(*s), func(i int) bool { return (*s)[i].last >= first-1 })
	j := i
	for ; j < len(*s) && (*s)[j].first <= last+1; j++ {
		first, last = min(first, (*s)[j].first), max(last, (*s)[j].last)
	}
	*s = slices.Replace(*s, i, j, interval{first, last})
}

func (s *intervals) contains(n uint64) bool {
	i := sort.Search(len(*s), func(i int) bool { return (*s)[i].last >= n })
	return i < len(*s) && (*s)[i].first <= n
}

// minus is what s has and other has not.
func (s *intervals) minus(other *intervals) intervals {
	var out intervals
	for _, iv := range *s {
		for _, o := range *other {
			if o.last < iv.first || iv.first > iv.last {
				continue
			}
			if o.first > iv.last {
				break
			}
			if o.first > iv.first {
				out = append(out, interval{iv.first, o.first - 1})
			}
			iv.first = o.last + 1
		}
		if iv.first <= iv.last {
			out = append(out, iv)
		}
	}
	return out
}

func subtractSets(from, what map[string]*intervals) map[string]*intervals {
	out := map[string]*intervals{}
	none := &intervals{}
	for sid, set := range from {
		have := what[sid]
		if have == nil {
			have = none
		}
		if rest := set.minus(have); len(rest) > 0 {
			out[sid] = &rest
		}
	}
	return out
}

// splitGTID cuts uuid:5 or uuid:tag:5 at its number; what is before it names the set.
func splitGTID(id string) (sid string, gno uint64, ok bool) {
	i := strings.LastIndexByte(id, ':')
	if i < 36 {
		return "", 0, false
	}
	gno, err := parseNumber(id[i+1:])
	return id[:i], gno, err == nil && gno > 0
}

// parseGTIDSet reads MySQL's form: uuid:1-5:7:tag:1-3,uuid:…, where a tag holds until the next one.
func parseGTIDSet(text string) (map[string]*intervals, error) {
	sets := map[string]*intervals{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue // MySQL too allows empty parts
		}
		fields := strings.Split(part, ":")
		uuid, err := parseUUID(strings.TrimSpace(fields[0]))
		if err != nil {
			return nil, err
		}
		if len(fields) == 1 {
			return nil, fmt.Errorf("%s has no interval", uuid)
		}
		if err := parseIntervals(sets, uuid, fields[1:]); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

func parseIntervals(sets map[string]*intervals, uuid string, fields []string) error {
	sid := uuid
	for i, field := range fields {
		field = strings.TrimSpace(field)
		if tag, ok := parseTag(field); ok {
			if i+1 == len(fields) {
				return fmt.Errorf("tag %s has no interval", tag)
			}
			sid = uuid + ":" + tag
			continue
		}
		iv, err := parseInterval(field)
		if err != nil {
			return err
		}
		if sets[sid] == nil {
			sets[sid] = &intervals{}
		}
		sets[sid].add(iv.first, iv.last)
	}
	return nil
}

func parseInterval(text string) (interval, error) {
	from, to, isRange := strings.Cut(text, "-")
	first, err := parseNumber(strings.TrimSpace(from))
	if err != nil {
		return interval{}, err
	}
	last := first
	if isRange {
		if last, err = parseNumber(strings.TrimSpace(to)); err != nil {
			return interval{}, err
		}
	}
	// The server's own numbers end one below 2^63.
	if first == 0 || last < first || last >= math.MaxInt64 {
		return interval{}, fmt.Errorf("%q is not an interval", text)
	}
	return interval{first, last}, nil
}

// parseUUID gives the lower-case form. MySQL also accepts other spellings, but never writes them.
func parseUUID(s string) (string, error) {
	s = strings.ToLower(s)
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		if _, err := hex.DecodeString(strings.ReplaceAll(s, "-", "")); err == nil && strings.Count(s, "-") == 4 {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is not a UUID", s)
}

// parseTag: letters, digits and underscores, at most 32, not a digit first; case does not count.
func parseTag(s string) (string, bool) {
	if s == "" || len(s) > 32 || s[0] >= '0' && s[0] <= '9' {
		return "", false
	}
	s = strings.ToLower(s)
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return "", false
		}
	}
	return s, true
}

func formatSets(sets map[string]*intervals) string {
	var b strings.Builder
	last := ""
	for _, sid := range slices.Sorted(maps.Keys(sets)) {
		if len(*sets[sid]) == 0 {
			continue
		}
		uuid, tag := sid[:36], sid[36:] // the tag with its colon
		if uuid != last {
			if last != "" {
				b.WriteByte(',')
			}
			b.WriteString(uuid)
			last = uuid
		}
		b.WriteString(tag)
		for _, iv := range *sets[sid] {
			b.WriteByte(':')
			b.WriteString(strconv.FormatUint(iv.first, 10))
			if iv.last > iv.first {
				b.WriteByte('-')
				b.WriteString(strconv.FormatUint(iv.last, 10))
			}
		}
	}
	return b.String()
}

// mariaDBGTID is domain-server-sequence.
type mariaDBGTID struct {
	domain, server uint32
	seq            uint64
}

func (g mariaDBGTID) String() string {
	b := make([]byte, 0, 32)
	b = strconv.AppendUint(b, uint64(g.domain), 10)
	b = append(b, '-')
	b = strconv.AppendUint(b, uint64(g.server), 10)
	b = append(b, '-')
	return string(strconv.AppendUint(b, g.seq, 10))
}

func parseMariaDBGTID(s string) (mariaDBGTID, error) {
	domain, rest, _ := strings.Cut(s, "-")
	srv, seq, ok := strings.Cut(rest, "-")
	if !ok {
		return mariaDBGTID{}, fmt.Errorf("%q is not domain-server-sequence", s)
	}
	d, errD := parseNumber(domain)
	v, errV := parseNumber(srv)
	n, errN := parseNumber(seq)
	if errD != nil || errV != nil || errN != nil || d > math.MaxUint32 || v > math.MaxUint32 {
		return mariaDBGTID{}, fmt.Errorf("%q is not domain-server-sequence", s)
	}
	return mariaDBGTID{uint32(d), uint32(v), n}, nil
}

func parseGTIDList(text string) (map[uint32]mariaDBGTID, error) {
	list := map[uint32]mariaDBGTID{}
	if strings.TrimSpace(text) == "" {
		return list, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		g, err := parseMariaDBGTID(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if _, twice := list[g.domain]; twice {
			return nil, fmt.Errorf("domain %d is there twice", g.domain)
		}
		list[g.domain] = g
	}
	return list, nil
}

func formatList(list map[uint32]mariaDBGTID) string {
	parts := make([]string, 0, len(list))
	for _, domain := range slices.Sorted(maps.Keys(list)) {
		parts = append(parts, list[domain].String())
	}
	return strings.Join(parts, ",")
}

// behind lists what of q p has not come to yet: a domain it does not know, or a lower sequence.
func behind(q, p map[uint32]mariaDBGTID) map[uint32]mariaDBGTID {
	out := map[uint32]mariaDBGTID{}
	for domain, g := range q {
		if have, ok := p[domain]; !ok || have != g && have.seq < g.seq {
			out[domain] = g
		}
	}
	return out
}
