package journeys

import (
	"encoding/json"
	"strconv"
)

func number(n int) string { return strconv.Itoa(n) }

// quote is a text as JavaScript has it.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always is JSON
	}
	return string(b)
}
