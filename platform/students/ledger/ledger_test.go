package ledger

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func create(t *testing.T) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.ledger")
	w, err := Create(path, Header{Run: "r", Started: time.Unix(1700000000, 0).UTC(), URLs: []string{"http://127.0.0.1:1"}, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, path
}

func read(t *testing.T, path string) *Log {
	t.Helper()
	log, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func when(n int64) time.Time { return time.Unix(1700000000, n).UTC() }

func aRun() *Intent {
	return &Intent{Kind: Run, Op: uuid.Must(uuid.NewV7()), User: 42, Intended: when(1), Sent: when(2), Script: "hoc",
		Level: 3, Digest: DigestOf([]byte("program")), Result: 20, TimeMs: 1234, Lines: 5}
}

func TestEveryFieldComesBack(t *testing.T) {
	w, path := create(t)
	var want []*Operation
	rapid.Check(t, func(r *rapid.T) {
		bytesOf := func(n int) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(r, "bytes") }
		number := func() int64 { return rapid.Int64().Draw(r, "number") }
		i := Intent{Kind: Kind(rapid.IntRange(0, int(kinds)-1).Draw(r, "kind")), Op: uuid.UUID(bytesOf(16)), User: number(),
			Intended: when(number() % 1e15), Sent: when(number() % 1e15), Script: rapid.String().Draw(r, "script"), Level: int(number()),
			Digest: Digest(bytesOf(20)), Result: int(number()), TimeMs: int(number()), Lines: int(number()),
			Object: uuid.UUID(bytesOf(16)), Name: rapid.String().Draw(r, "name"), Number: number(), Prior: number()}
		o := Outcome{Acknowledged: when(number() % 1e15), Tries: int(number()), Epoch: number(), Status: int(number()),
			Replayed: rapid.Bool().Draw(r, "replayed"), Code: rapid.String().Draw(r, "code"), User: number(), ID: number(),
			Version: number(), Attempts: int(number()), Lines: number(), Object: uuid.UUID(bytesOf(16)), Text: rapid.String().Draw(r, "text")}
		seq, err := w.Intend(&i)
		if err != nil {
			r.Fatal(err)
		}
		if err := w.Settle(seq, &o); err != nil {
			r.Fatal(err)
		}
		want = append(want, &Operation{i, o, true})
	})
	s := Stale{Kind: Progress, User: 3, At: when(5), Op: uuid.New(), Text: "missed"}
	if err := w.Note(&s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	log := read(t, path)
	if diff := cmp.Diff(want, log.Operations); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Stale{s}, log.Stale); diff != "" || !log.Ended || log.Torn != nil || log.Seed != 7 {
		t.Errorf("%s %+v", diff, log)
	}
}

func TestARunIsAboutAHundredBytes(t *testing.T) {
	w, path := create(t)
	before, _ := os.Stat(path)
	const n = 1000
	for range n {
		seq, err := w.Intend(aRun())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Settle(seq, &Outcome{Acknowledged: when(3), Tries: 1, Status: 200, ID: 1 << 20, Attempts: 2, Lines: 300}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	after, _ := os.Stat(path)
	if each := (after.Size() - before.Size()) / n; each > 160 {
		t.Errorf("%d bytes for each", each)
	}
}

func TestAnIntentIsInTheFileWhenItIsGivenBack(t *testing.T) {
	w, path := create(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				i := aRun()
				if _, err := w.Intend(i); err != nil {
					t.Error(err)
					return
				}
				text, err := os.ReadFile(path)
				if err != nil || !bytes.Contains(text, i.Op[:]) {
					t.Errorf("not in the file: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// TestHelperKilled is the process that TestAKilledWriter kills.
func TestHelperKilled(t *testing.T) {
	path := os.Getenv("LEDGER_TO_KILL")
	if path == "" {
		t.Skip("the process of another test")
	}
	w, err := Create(path, Header{Run: "killed"})
	if err != nil {
		t.Fatal(err)
	}
	for {
		i := aRun()
		seq, err := w.Intend(i)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("sent", i.Op)
		if err := w.Settle(seq, &Outcome{Status: 200}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAKilledWriterHasEverythingThatItSent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "killed.ledger")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperKilled$")
	cmd.Env = append(os.Environ(), "LEDGER_TO_KILL="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var sent bytes.Buffer
	chunk := make([]byte, 4096)
	for sent.Len() < 100_000 {
		n, err := out.Read(chunk)
		if err != nil {
			t.Fatalf("%v after %s", err, sent.String())
		}
		sent.Write(chunk[:n])
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	log := read(t, path)
	have := map[string]bool{}
	for _, o := range log.Operations {
		have[o.Op.String()] = true
	}
	n := 0
	lines := strings.Split(sent.String(), "\n")
	for _, line := range lines[:len(lines)-1] {
		if op, ok := strings.CutPrefix(line, "sent "); ok {
			n++
			if !have[op] {
				t.Errorf("%s was sent and is not in the ledger", op)
			}
		}
	}
	if n < 1000 || log.Ended {
		t.Errorf("%d sent, ended %v", n, log.Ended)
	}
}

func TestATornTailIsSaidWhereverItIsCut(t *testing.T) {
	w, path := create(t)
	for range 3 {
		if _, err := w.Intend(aRun()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _ := encodeHeader(Header{Run: "r", Started: time.Unix(1700000000, 0).UTC(), URLs: []string{"http://127.0.0.1:1"}, Seed: 7})
	start := len(frame([]byte(magic), head))
	each := (len(whole) - start - 9) / 3 // the end's record is 9 bytes
	for cut := start; cut < len(whole)-9; cut++ {
		short := filepath.Join(t.TempDir(), "short")
		if err := os.WriteFile(short, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		log := read(t, short)
		want, torn := (cut-start)/each, (cut-start)%each
		if len(log.Operations) != want || (log.Torn != nil) != (torn > 0) || (torn > 0 && log.Torn.Bytes != int64(torn)) {
			t.Fatalf("cut at %d: %d operations, want %d; %+v", cut, len(log.Operations), want, log.Torn)
		}
	}
}

func TestDamageInTheMiddleIsAnError(t *testing.T) {
	w, path := create(t)
	for range 3 {
		if _, err := w.Intend(aRun()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	text[len(text)/2] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "at byte") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNoLedgerIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, text := range []string{"", "hello", strings.Repeat("x", 1000)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil {
			t.Errorf("%.10q was read", text)
		}
	}
	if _, err := Create(path, Header{}); err == nil {
		t.Error("a file was written over")
	}
}

func TestAClosedLedgerTakesNothing(t *testing.T) {
	w, _ := create(t)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Intend(aRun()); err == nil {
		t.Error("taken")
	}
	if err := w.Settle(1, &Outcome{}); err == nil {
		t.Error("taken")
	}
}

func FuzzRead(f *testing.F) {
	head, _ := encodeHeader(Header{Run: "r"})
	good := frame([]byte(magic), head)
	good = frame(good, encodeIntent(1, aRun()))
	good = frame(good, encodeOutcome(1, &Outcome{Status: 200}))
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = readFrom(bytes.NewReader(b), int64(len(b))) // an error or a log, never a panic
	})
}

func FuzzPayloads(f *testing.F) {
	f.Add(encodeIntent(1, aRun())[1:])
	f.Add(encodeOutcome(1, &Outcome{Code: "x"})[1:])
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _, _ = decodeIntent(b)
		_, _, _ = decodeOutcome(b)
		_, _ = decodeStale(b)
	})
}
