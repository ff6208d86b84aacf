package run

import (
	"strconv"
	"strings"
)

// near is what a syntax error (1064) quotes: the text from the word on that the server did not expect.
const near = " near '"

// quoted cuts a syntax error: what is before the quotation, the quotation, and the line that it names, from 1 on.
func quoted(message string) (head, text string, line int, ok bool) {
	head, text, ok = strings.Cut(message, near)
	if !ok {
		return message, "", 0, false
	}
	const tail = "' at line "
	if end := strings.LastIndex(text, tail); end >= 0 {
		line, _ = strconv.Atoi(text[end+len(tail):])
		text = text[:end]
	}
	return head, text, line, true
}

// quiet is a server's message without the strings of the statement, one of which may be a password.
func quiet(message string) string {
	head, text, _, ok := quoted(message)
	if !ok {
		return message
	}
	if i := strings.IndexAny(text, "'\"\n"); i >= 0 {
		text = text[:i] + "…"
	}
	return head + near + text + "'"
}

// quotes is from how many bytes on a quotation may be cut: servers quote 80 characters, of which the last may be "...".
const quotes = 70

// stoppedAt is the byte of a text at which a syntax error begins to quote it; -1 if that can't be told.
func stoppedAt(text, message string) int {
	_, quotation, line, ok := quoted(message)
	switch {
	case !ok:
		return -1
	case len(quotation) < quotes: // it is the rest
		if !strings.HasSuffix(text, quotation) {
			return -1
		}
		return len(text) - len(quotation)
	}
	quotation = quotation[:quotes]
	at := -1
	for from := 0; ; {
		i := strings.Index(text[from:], quotation)
		if i < 0 {
			return at
		}
		if from += i; 1+strings.Count(text[:from], "\n") == line {
			if at >= 0 {
				return -1 // it stands there twice
			}
			at = from
		}
		from++
	}
}
