package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"changeover/internal/fault"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// frames wraps payload as MySQL's protocol does.
func frames(sequence byte, payload []byte) []byte {
	var out []byte
	for {
		n := min(len(payload), maxFrame)
		out = append(out, byte(n), byte(n>>8), byte(n>>16), sequence)
		out = append(out, payload[:n]...)
		payload = payload[n:]
		sequence++
		if n < maxFrame {
			return out
		}
	}
}

func TestAPacketMaySpanFrames(t *testing.T) {
	for _, size := range []int{0, 1, 1000, maxFrame - 1, maxFrame, maxFrame + 1, 2 * maxFrame} {
		payload := bytes.Repeat([]byte("ab"), size/2+1)[:size]
		stream := append(frames(1, payload), frames(byte(2+size/maxFrame), []byte("next"))...)
		p := packets{r: bufio.NewReader(bytes.NewReader(stream)), sequence: 1}
		if err := p.next(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(&p, got); err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if err := p.next(); err != nil {
			t.Fatalf("after %d bytes: %v", size, err)
		}
		if rest, err := io.ReadAll(&p); err != nil || string(rest) != "next" {
			t.Fatalf("after %d bytes: %q, %v", size, rest, err)
		}
		if err := p.next(); err != io.EOF {
			t.Fatalf("at the end: %v", err)
		}
	}
}

func TestABrokenPacketIsAnError(t *testing.T) {
	p := packets{r: bufio.NewReader(iotest.DataErrReader(bytes.NewReader(frames(1, []byte("hello"))[:6]))), sequence: 1}
	if err := p.next(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(&p); err != io.ErrUnexpectedEOF {
		t.Errorf("cut short: %v", err)
	}
	p = packets{r: bufio.NewReader(bytes.NewReader(frames(7, nil))), sequence: 1}
	if err := p.next(); err == nil {
		t.Error("a packet out of order was taken")
	}
	p = packets{r: bufio.NewReader(bytes.NewReader(frames(1, []byte("hello")))), sequence: 1}
	if err := errors.Join(p.next(), p.next()); !errors.Is(err, errUnread) {
		t.Errorf("unread: %v", err)
	}
}

func TestTheQueueIsBoundedInBytes(t *testing.T) {
	ctx, q := t.Context(), newQueue(100)
	if err := q.put(ctx, item{bytes: 500, id: "big"}); err != nil { // alone, whatever its size
		t.Fatal(err)
	}
	full, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := q.put(full, item{bytes: 1}); err != context.DeadlineExceeded {
		t.Errorf("put into a full queue: %v", err)
	}
	put := make(chan error)
	go func() { put <- q.put(ctx, item{bytes: 1, id: "small"}) }()
	for _, want := range []string{"big", "small"} {
		if it, err := q.take(ctx); err != nil || it.id != want {
			t.Fatalf("%+v, %v", it, err)
		}
	}
	if err := <-put; err != nil || q.held() != 0 {
		t.Errorf("%v, %d bytes left", err, q.held())
	}
	q.close(io.ErrClosedPipe)
	for range 2 {
		if _, err := q.take(ctx); err != io.ErrClosedPipe {
			t.Errorf("take from a closed queue: %v", err)
		}
	}
}

func TestOffsetsPassFourGiB(t *testing.T) {
	a := &assembler{file: "b.000001", pos: 4}
	at := func(logPos uint32, kind replication.EventType, flags uint16) uint64 {
		a.advance(&rawEvent{EventHeader: replication.EventHeader{LogPos: logPos, EventType: kind, Flags: flags}})
		return a.pos
	}
	for i, c := range []struct {
		got  uint64
		want uint64
	}{
		{at(1000, replication.GTID_EVENT, 0), 1000},
		{at(4294967000, replication.WRITE_ROWS_EVENTv2, 0), 4294967000},
		{at(500, replication.WRITE_ROWS_EVENTv2, 0), 1<<32 + 500},
		{at(0, replication.FORMAT_DESCRIPTION_EVENT, replication.LOG_EVENT_ARTIFICIAL_F), 1<<32 + 500},
		{at(400, replication.HEARTBEAT_EVENT, 0), 1<<32 + 500},
		{at(499, replication.XID_EVENT, 0), 2<<32 + 499},
	} {
		if c.got != c.want {
			t.Errorf("%d: at %d, want %d", i, c.got, c.want)
		}
	}
}

func TestAnOffsetPastFourGiBStartsInTheNextFile(t *testing.T) {
	source := sandboxtest.MySQLSource(t)
	source.Exec(t, "FLUSH BINARY LOGS")
	db := source.DB(t, "root")
	first, _, err := firstLog(t.Context(), db, "SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	base, n, _ := fileNumber(first)
	p, err := startOf(t.Context(), openDB(t, source), parse(t, server.MySQL, first+":5000000000"))
	if want := fmt.Sprintf("%s.%06d:4", base, n+1); err != nil || p.String() != want {
		t.Errorf("%s, %v, want %s", p, err, want)
	}
	if _, err := startOf(t.Context(), openDB(t, source), parse(t, server.MySQL, base+".999999:5000000000")); err == nil {
		t.Error("a file that isn't there has a next one")
	}
}

// Who may go on with the stream: the same server; another one by GTID; one that restarted, if it
// can't have lost anything.
func TestWhoAnswersIsLookedAt(t *testing.T) {
	now := time.Now()
	up := func(uuid string, at, uptime time.Duration, relaxed bool) *identity {
		return &identity{Identity: server.Identity{UUID: uuid}, seen: now.Add(at), uptime: uptime, relaxed: relaxed}
	}
	const hour = time.Hour
	for name, c := range map[string]struct {
		before, after *identity
		position      string
		refused       bool
	}{
		"the first":                     {nil, up("a", hour, hour, true), "b.000001:4", false},
		"the same":                      {up("a", 0, hour, true), up("a", hour, 2*hour, true), "b.000001:4", false},
		"the same, a second off":        {up("a", 0, hour, true), up("a", hour, 2*hour-time.Second, true), uuidA + ":1", false},
		"restarted":                     {up("a", 0, hour, false), up("a", hour, time.Minute, false), "b.000001:4", false},
		"restarted, relaxed":            {up("a", 0, hour, true), up("a", hour, time.Minute, true), uuidA + ":1", true},
		"restarted, relaxed until then": {up("a", 0, hour, true), up("a", hour, time.Minute, false), uuidA + ":1", true},
		"another, by GTID":              {up("a", 0, hour, false), up("b", hour, hour, false), uuidA + ":1", false},
		"another, without GTIDs":        {up("a", 0, hour, false), up("b", hour, hour, false), "b.000001:4", true},
	} {
		r := NewReader(ReaderConfig{Flavor: server.MySQL, Start: parse(t, server.MySQL, c.position)})
		r.before = c.before
		if err := r.recognise(c.after); fault.Is(err, fault.StreamIdentity) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A consumer that rests costs no reconnect, however long its rest.
func TestAConsumerMayRest(t *testing.T) {
	source := sandboxtest.MySQLSource(t)
	db := source.Database(t)
	source.Exec(t, "CREATE TABLE "+db+".t (id INT AUTO_INCREMENT PRIMARY KEY, b MEDIUMTEXT)")
	h := read(t, source, func(c *ReaderConfig) { c.Heartbeat, c.Queue = 200*time.Millisecond, 1<<20 })
	for range 12 { // more than the queue and the kernel's buffers hold
		h.exec("INSERT INTO " + db + ".t (b) VALUES (REPEAT('x', 2000000))")
	}
	time.Sleep(2 * time.Second)
	if n := len(inserted(h.catchUp())); n != 12 {
		t.Errorf("%d rows came", n)
	}
	if s := h.Stats(); s.Reconnects != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTableMapsAreForgottenInTime(t *testing.T) {
	d := newDecoder(server.MySQL, nil)
	d.format = &rawEvent{data: []byte("no format description")}
	for i := range uint64(maxTables - 1) {
		d.tables[i] = &table{}
	}
	if err := d.trim(); err != nil || len(d.tables) == 0 {
		t.Errorf("too early: %v", err)
	}
	d.tables[maxTables] = &table{}
	if err := d.trim(); err == nil || len(d.tables) != 0 {
		t.Errorf("%d tables are left, %v", len(d.tables), err)
	}
}
