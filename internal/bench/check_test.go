package main

import (
	"testing"

	"changeover/verify/compat"
)

// BenchmarkCheck is `changeover check` without its program: reading the files, all static rules, the report's order.
func BenchmarkCheck(b *testing.B) {
	to, err := compat.LoadProfile("mysql-9.7")
	if err != nil {
		b.Fatal(err)
	}
	for name, make := range map[string]func(dir string) (string, int64, error){
		"migrations": func(dir string) (string, int64, error) { return migrations(dir, checkTables, checkFiles) },
		"dump":       func(dir string) (string, int64, error) { return dump(dir, checkTables) },
	} {
		b.Run(name, func(b *testing.B) {
			path, size, err := make(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			for b.Loop() {
				in, err := compat.ReadInput(path)
				if err != nil {
					b.Fatal(err)
				}
				r, err := compat.Check(b.Context(), in, compat.Options{To: to})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(r.Findings)), "findings")
			}
		})
	}
}
