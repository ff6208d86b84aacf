package compat

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// evidence is a part of a statement's text, without what logs somebody in: reports are read, and kept, by more
// people than passwords are for.
func evidence(st *ddl.Statement, start, end int) string {
	var b strings.Builder
	first, _ := slices.BinarySearchFunc(st.Tokens, start, func(t ddl.Token, at int) int { return t.Start - at })
	for i := first; i < len(st.Tokens) && st.Tokens[i].End <= end; i++ {
		if t := st.Tokens[i]; t.Kind == ddl.String && logsIn(st, i) {
			b.WriteString(st.File.Text[start:t.Start] + "'…'")
			start = t.End
		}
	}
	return b.String() + st.File.Text[start:end]
}

// textSum is a hash of a statement's text, without what logs somebody in. It is made once: a statement that loads rows
// is long, and may have a finding in each.
func (c *checker) textSum(st *ddl.Statement) string {
	if sum, ok := c.sums[st]; ok {
		return sum
	}
	text := sha256.Sum256([]byte(strings.ToLower(strings.Join(strings.Fields(evidence(st, st.Start, st.End)), " "))))
	c.sums[st] = hex.EncodeToString(text[:])
	return c.sums[st]
}

// logsIn tells whether a string is a password, a hash of one, or an address with one in it, by the word before it.
func logsIn(st *ddl.Statement, at int) bool {
	before := at - 1
	for before >= 0 && st.Tokens[before].Is("=", "(", ":=") {
		before--
	}
	switch {
	case before < 0:
		return false
	case st.Tokens[before].Is("PASSWORD", "OLD_PASSWORD", "CONNECTION", "MASTER_PASSWORD", "SOURCE_PASSWORD"):
		return true
	case st.Kind != ddl.Account:
		return false
	}
	// Of SET PASSWORD FOR a = '…' the "=" tells.
	return st.Tokens[before].Is("BY", "AS", "USING", "REPLACE") || st.Tokens[at-1].Is("=")
}
