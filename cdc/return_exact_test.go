package cdc

import (
	"path/filepath"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
)

// The cases of TestEveryValueGoesBothWaysByteForByte once more, after the writer role has passed: what is
// written on the target then is carried back to a source of each flavor.
func TestEveryValueComesBackByteForByte(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/exact/*")
	if err != nil || len(cases) == 0 {
		t.Fatal(cases, err)
	}
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			for _, dir := range cases {
				t.Run(filepath.Base(dir), func(t *testing.T) {
					t.Parallel()
					newMigration(t, src, target).exactlyBack(dir)
				})
			}
		})
	}
}

func (m *migration) exactlyBack(dir string) {
	m.t.Helper()
	m.script(filepath.Join(dir, "schema.sql"))
	m.script(filepath.Join(dir, "load.sql"))
	if len(m.tables()) == 0 {
		return
	}
	x := m.start(Forever, nil, nil)
	x.wait("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
	back, y := m.cutover(x, nil)
	for _, table := range back.tables() {
		back.again(table)
	}
	y.catchUp()
	back.sameBytes("after the stream's own rows")
	back.script(filepath.Join(dir, "stream.sql"))
	y.catchUp()
	y.mustStop()
	back.sameBytes("at the end")
}
