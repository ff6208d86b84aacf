// Command errorsdoc writes docs/errors.md from the catalogue of faults.
package main

import (
	"fmt"
	"os"

	"changeover/internal/fault"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: errorsdoc FILE")
		os.Exit(64)
	}
	if err := os.WriteFile(os.Args[1], []byte(fault.Markdown()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
