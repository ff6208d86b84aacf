package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/klauspost/compress/zstd"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// decoder turns raw events into go-mysql's. It keeps what the binlog says of its tables.
type decoder struct {
	flavor server.Flavor
	parser *replication.BinlogParser
	format *rawEvent // the last format description
	want   func(schema, table string) bool
	here   func() string // a place for messages
	// lenient: images need not be whole.
	lenient bool
	tables  map[uint64]*table // by the binlog's table id
	zstd    *zstd.Decoder     // made when first needed

	// Of the row event that is being decoded, set in the parser's call-back: the parser makes a
	// text of any error that is returned to it.
	current *table
	refusal error
}

// Flags of a row event.
const (
	rowsFlags              = 6 // where they are
	rowsStatementEnd       = 0x1
	rowsNoForeignKeyChecks = 0x2
	rowsRelaxedUnique      = 0x4
)

// table is a table map as it came last under its id.
type table struct {
	raw          []byte
	event        *replication.TableMapEvent
	schema, name string
	wanted       bool
}

// maxTables bounds the table maps that are kept from one transaction to the next.
const maxTables = 4096

func newDecoder(flavor server.Flavor, want func(schema, table string) bool) *decoder {
	d := &decoder{flavor: flavor, want: want, here: func() string { return "" }}
	d.reset()
	return d
}

// reset forgets all table maps. The parser has no other way to forget some than a new one.
func (d *decoder) reset() {
	d.tables = map[uint64]*table{}
	d.parser = replication.NewBinlogParser()
	d.parser.SetFlavor(string(d.flavor))
	d.parser.SetTimestampStringLocation(time.UTC)
	d.parser.SetRenderJSONAsMySQLText(true)
	d.parser.SetRowsEventDecodeFunc(d.decodeRows)
}

// trim is called between transactions, where no table map is needed any more.
func (d *decoder) trim() error {
	if len(d.tables) < maxTables {
		return nil
	}
	d.reset()
	_, err := d.event(d.format)
	return err
}

// describe takes a format description, by which all later events are read.
func (d *decoder) describe(e *rawEvent) error {
	d.format = e
	_, err := d.event(e)
	return err
}

func (d *decoder) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

// event decodes e. go-mysql indexes without looking, so what is cut short panics in it.
func (d *decoder) event(e *rawEvent) (ev replication.Event, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decode %s: %v", e.EventType, r)
		}
	}()
	parsed, err := d.parser.Parse(e.data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.EventType, err)
	}
	return parsed.Event, nil
}

// tableMap takes a table map. Most transactions bring the same few, and equal ones are decoded
// once: the parser, left to itself, would forget them with each statement (see rowsEvent).
func (d *decoder) tableMap(e *rawEvent) error {
	t := d.tables[tableID(e)]
	if t == nil || !bytes.Equal(t.raw, e.body()) {
		var err error
		if t, err = d.newTable(e); err != nil {
			return err
		}
	}
	t.wanted = d.want == nil || d.want(t.schema, t.name)
	return nil
}

func (d *decoder) newTable(e *rawEvent) (*table, error) {
	ev, err := d.event(e)
	if err != nil {
		return nil, err
	}
	tm := ev.(*replication.TableMapEvent)
	t := &table{raw: e.body(), event: tm, schema: string(tm.Schema), name: string(tm.Table)}
	d.tables[tm.TableID] = t
	return t, nil
}

// tableID is the first field of table maps and row events.
func tableID(e *rawEvent) uint64 {
	var b [8]byte
	copy(b[:6], e.body())
	return binary.LittleEndian.Uint64(b[:])
}

// dummyTable is the id of a row event that only ends a statement.
const dummyTable = 0xffffff

// rowsEvent decodes a row event; nil if its rows are not wanted.
func (d *decoder) rowsEvent(e *rawEvent) (*Rows, error) {
	if tableID(e) == dummyTable {
		return nil, nil
	}
	if body := e.body(); len(body) > rowsFlags {
		body[rowsFlags] &^= rowsStatementEnd // or the parser would forget its tables
	}
	d.current, d.refusal = nil, nil
	ev, err := d.event(e)
	if d.refusal != nil {
		return nil, d.refusal
	}
	if err != nil {
		return nil, err
	}
	re, t := ev.(*replication.RowsEvent), d.current
	if !t.wanted {
		return nil, nil
	}
	rows := &Rows{
		Schema: t.schema, Table: t.name, Map: t.event, Images: re.Rows,
		NoForeignKeyChecks: re.Flags&rowsNoForeignKeyChecks != 0,
		RelaxedUnique:      re.Flags&rowsRelaxedUnique != 0,
	}
	switch re.Type() {
	case replication.EnumRowsEventTypeInsert:
		rows.Kind = Insert
	case replication.EnumRowsEventTypeUpdate:
		rows.Kind = Update
	case replication.EnumRowsEventTypeDelete:
		rows.Kind = Delete
	default:
		return nil, unknownEvent(e)
	}
	return rows, nil
}

// decodeRows is called by the parser: the header always, the rows only if they are wanted.
func (d *decoder) decodeRows(re *replication.RowsEvent, data []byte) error {
	pos, err := re.DecodeHeader(data)
	if err != nil {
		return err
	}
	t := d.tables[re.TableID]
	if t == nil {
		return fmt.Errorf("no table map for table id %d", re.TableID)
	}
	d.current = t
	if !t.wanted {
		return nil
	}
	if d.refusal = refuseImage(re, t, d.here); d.refusal != nil && !d.lenient {
		return d.refusal
	}
	d.refusal = nil
	return re.DecodeData(pos, data)
}

// refuseImage stops rows that are not whole.
func refuseImage(re *replication.RowsEvent, t *table, here func() string) error {
	if re.Type() == replication.EnumRowsEventTypeUnknown { // go-mysql's type of a partial update
		return fault.New(fault.StreamImage, "a change of %s.%s at %s holds only a part of a JSON value (binlog_row_value_options=PARTIAL_JSON)", t.schema, t.name, here())
	}
	for _, bitmap := range [][]byte{re.ColumnBitmap1, re.ColumnBitmap2} {
		if bitmap == nil {
			continue
		}
		for i := range int(re.ColumnCount) {
			if bitmap[i>>3]&(1<<(i&7)) == 0 {
				return fault.New(fault.StreamImage, "a change of %s.%s at %s comes without its column %d (binlog_row_image is not FULL)", t.schema, t.name, here(), i+1)
			}
		}
	}
	return nil
}

// payload reads the events of a compressed transaction one by one, and hands each to handle. The
// last one, which commits, is handed on only when the whole payload has been read and checked.
func (d *decoder) payload(e *rawEvent, handle func(*rawEvent) error) error {
	r, err := d.inflate(e.payload)
	if err != nil {
		return err
	}
	var last *rawEvent
	for {
		inner, err := innerEvent(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("inflate a compressed transaction: %w", err)
		}
		if last != nil {
			if err := handle(last); err != nil {
				return err
			}
		}
		last = inner
	}
	if _, err := io.Copy(io.Discard, e.payload); err != nil {
		return err
	}
	if last == nil {
		return nil
	}
	return handle(last)
}

// The fields of a payload's head, and the ways of compression.
const (
	payloadEnd         = 0
	payloadCompression = 2
	compressionZstd    = 0
	compressionNone    = 255
)

// inflate reads the payload's head, and gives what is compressed behind it.
func (d *decoder) inflate(payload io.Reader) (io.Reader, error) {
	compression := uint64(compressionNone)
	for {
		field, err := readLength(payload)
		if err != nil {
			return nil, fmt.Errorf("read a compressed transaction's head: %w", err)
		}
		if field == payloadEnd {
			break
		}
		value, err := readField(payload)
		if err != nil {
			return nil, fmt.Errorf("read a compressed transaction's head: %w", err)
		}
		if field == payloadCompression {
			compression = value
		}
	}
	switch compression {
	case compressionNone:
		return payload, nil
	case compressionZstd:
		return d.inflateZstd(payload)
	default:
		return nil, fault.New(fault.StreamEvent, "a transaction is compressed in a way unknown to this version (%d)", compression)
	}
}

// inflateZstd keeps one decoder: it inflates in our goroutine, with a window of its own and no more.
func (d *decoder) inflateZstd(payload io.Reader) (io.Reader, error) {
	if d.zstd == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		d.zstd = z
	}
	return d.zstd, d.zstd.Reset(payload)
}

// readLength reads a length-encoded integer.
func readLength(r io.Reader) (uint64, error) {
	var b [9]byte
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return 0, noEOF(err)
	}
	width := map[byte]int{0xfc: 2, 0xfd: 3, 0xfe: 8}[b[0]]
	if width == 0 {
		return uint64(b[0]), nil
	}
	if _, err := io.ReadFull(r, b[1:1+width]); err != nil {
		return 0, noEOF(err)
	}
	return binary.LittleEndian.Uint64(append(b[1:9:9], 0)), nil
}

// readField reads a field's length and its value, itself a length-encoded integer.
func readField(r io.Reader) (uint64, error) {
	n, err := readLength(r)
	if err != nil {
		return 0, err
	}
	if n == 0 || n > 9 {
		return 0, fmt.Errorf("a field of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, noEOF(err)
	}
	return readLength(bytes.NewReader(b))
}

// innerEvent reads an event of a payload: those have no checksums and no place in the log.
func innerEvent(r io.Reader) (*rawEvent, error) {
	var head [replication.EventHeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err // io.EOF: there are no more
	}
	e := &rawEvent{}
	if err := e.Decode(head[:]); err != nil {
		return nil, err
	}
	e.data = make([]byte, e.EventSize)
	copy(e.data, head[:])
	if _, err := io.ReadFull(r, e.body()); err != nil {
		return nil, noEOF(err)
	}
	return e, nil
}

// imageSize is about what decoded rows hold in memory: slices, interfaces, and the values, where
// strings are counted with their bytes (they keep the raw event alive).
func imageSize(images [][]any) int64 {
	var n int64
	for _, row := range images {
		n += 3*24 + int64(16*len(row)) // its place in Images (which grows by doubling), its values
		for _, v := range row {
			switch v := v.(type) {
			case nil:
			case string:
				n += 24 + int64(len(v))
			case []byte:
				n += 24 + int64(len(v))
			default:
				n += 8
			}
		}
	}
	return n
}
