// The official Go client over HTTP, which Grafana's data source uses, against a node:
// clickhouse_go ADDRESS all|lost (`tests/clients/main.rs` says what they mean).
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const rows = 1_000_000

var start = time.Date(2024, 1, 2, 9, 30, 0, 1, time.UTC)

type trade struct {
	Symbol string    `ch:"symbol"`
	Time   time.Time `ch:"ts"`
	Price  float64   `ch:"price"`
	Volume int64     `ch:"volume"`
	Note   *string   `ch:"note"`
	Tags   []string  `ch:"tags"`
}

func row(i int) trade {
	one := trade{fmt.Sprintf("S%d", i%1_000), start.Add(time.Duration(i) * time.Microsecond), float64(i) * 0.25, int64(i) - 500_000, nil, nil}
	if i%3 == 0 {
		note := fmt.Sprintf("'%d'\t\\ü", i)
		one.Note, one.Tags = &note, []string{"a", "ü"}
	}
	return one
}

// digest of rows in their order, to compare what was sent with what came back.
type digest struct {
	rows int
	sum  uint64
}

func (d *digest) add(t trade) {
	note := "-"
	if t.Note != nil {
		note = *t.Note
	}
	hash := fnv.New64a()
	fmt.Fprint(hash, d.rows, t.Symbol, t.Time.UnixNano(), t.Price, t.Volume, note, t.Tags)
	d.sum ^= hash.Sum64()
	d.rows++
}

func connect(address string, method clickhouse.CompressionMethod) driver.Conn {
	return must(clickhouse.Open(&clickhouse.Options{
		Addr:        []string{address},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Database: "default", Username: "default"},
		Compression: &clickhouse.Compression{Method: method, Level: 1},
	}))
}

func whole(ctx context.Context, conn driver.Conn, rows int) {
	check(conn.Ping(ctx))
	server := must(conn.ServerVersion())
	ensure(server.Timezone.String() == "UTC", "the server's zone is %s", server.Timezone)
	check(conn.Exec(ctx, `CREATE TABLE trades (symbol LowCardinality(String), ts DateTime64(9, 'UTC'), price Float64,
		volume Int64, note Nullable(String), tags Array(String)) ENGINE = MergeTree ORDER BY (symbol, ts)`))
	var sent digest
	batch := must(conn.PrepareBatch(ctx, "INSERT INTO trades"))
	for i := range rows {
		one := row(i)
		sent.add(one)
		check(batch.AppendStruct(&one))
	}
	check(batch.Send())
	selects(ctx, conn, rows)
	streams(ctx, conn, sent)
	faults(ctx, conn)
	check(conn.Exec(ctx, "DROP TABLE trades"))
}

func selects(ctx context.Context, conn driver.Conn, rows int) {
	var count, notes uint64
	var volume int64
	var price float64
	sums := "SELECT count(), sum(volume), sum(price), count(note) FROM trades"
	check(conn.QueryRow(ctx, sums).Scan(&count, &volume, &price, &notes))
	wantVolume, wantPrice := int64(rows)*int64(rows-1)/2-500_000*int64(rows), float64(rows)*float64(rows-1)/8
	ensure(count == uint64(rows) && volume == wantVolume && price == wantPrice && notes == uint64(rows+2)/3, "sums: %d %d %f %d", count, volume, price, notes)

	later := start.Add(time.Duration(rows/2) * time.Microsecond)
	bound := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{
		"s": "['S1','S2']", "table": "trades", "since": later.Format("2006-01-02 15:04:05.000000000"),
	}))
	wanted := "SELECT count() FROM {table:Identifier} WHERE symbol IN {s:Array(String)} AND ts >= {since:DateTime64(9, 'UTC')}"
	check(conn.QueryRow(bound, wanted).Scan(&count))
	ensure(count == uint64(rows)/1_000, "with parameters: %d", count)
	for _, text := range []string{"it's", "a\tb", `back\slash`, "ü", "", "line\nbreak", "%s", "?"} {
		var back string
		check(conn.QueryRow(ctx, "SELECT {v:String}", clickhouse.Named("v", text)).Scan(&back))
		ensure(back == text, "%q came back as %q", text, back)
	}
	check(conn.QueryRow(ctx, "SELECT count() FROM trades WHERE symbol IN ? AND ts >= ?", []string{"S1", "S2"}, later).Scan(&count))
	ensure(count > 0, "with values in the text: %d", count)

	var found []trade
	check(conn.Select(ctx, &found, "SELECT * FROM trades ORDER BY ts LIMIT 2"))
	ensure(len(found) == 2 && found[0].Time.Equal(start) && *found[0].Note == *row(0).Note, "structs: %v", found)
	check(conn.Select(ctx, &found, "SELECT * FROM trades WHERE symbol = 'nobody'"))
	ensure(len(found) == 0, "nothing matches: %v", found)
}

func streams(ctx context.Context, conn driver.Conn, sent digest) {
	var back digest
	read := must(conn.Query(ctx, "SELECT * FROM trades ORDER BY ts"))
	kind := read.ColumnTypes()[1]
	ensure(kind.DatabaseTypeName() == "DateTime64(9, 'UTC')" && read.ColumnTypes()[4].Nullable(), "type %s", kind.DatabaseTypeName())
	for read.Next() {
		var one trade
		check(read.ScanStruct(&one))
		back.add(one)
	}
	check(read.Err())
	check(read.Close())
	ensure(back == sent, "sent %v, came back %v", sent, back)
}

func faults(ctx context.Context, conn driver.Conn) {
	for query, code := range map[string]int32{
		"SELECT nope FROM trades": 47, "SELECT * FROM nowhere": 60, "SELECT nonsense(1)": 46,
		"SELECT toString(intDiv(1, 1000000 - number)) FROM numbers(2000000)": 153, // breaks off in mid-stream
	} {
		err := drain(ctx, conn, query)
		var fault *clickhouse.Exception
		ensure(errors.As(err, &fault) && fault.Code == code, "%s: wanted code %d in the client's own type, got %v", query, code, err)
	}
	_, err := conn.PrepareBatch(ctx, "INSERT INTO nowhere")
	ensure(err != nil, "an insert into nowhere was begun")
	check(drain(ctx, conn, "SELECT 1"))
}

func drain(ctx context.Context, conn driver.Conn, query string) error {
	read, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	defer read.Close()
	for read.Next() {
	}
	return read.Err()
}

func lost(ctx context.Context, conns ...driver.Conn) {
	open := make([]driver.Rows, 0, len(conns))
	for _, conn := range conns {
		read := must(conn.Query(ctx, "SELECT number, sin(number) FROM numbers(100000000000)"))
		ensure(read.Next(), "no row: %v", read.Err())
		open = append(open, read)
	}
	fmt.Println("reading")
	must(bufio.NewReader(os.Stdin).ReadString('\n'))
	for _, read := range open {
		for read.Next() {
		}
		ensure(read.Err() != nil, "a cut answer was taken for a whole one")
		fmt.Println("lost:", read.Err())
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	ensure(err == nil, "%v", err)
}

func ensure(holds bool, format string, values ...any) {
	if !holds {
		panic(fmt.Sprintf(format, values...))
	}
}

func main() {
	ctx, address := context.Background(), os.Args[1]
	plain, gzip, lz4 := connect(address, clickhouse.CompressionNone), connect(address, clickhouse.CompressionGZIP), connect(address, clickhouse.CompressionLZ4)
	if os.Args[2] == "all" {
		whole(ctx, gzip, rows) // as Grafana has it
		whole(ctx, plain, rows/10)
		whole(ctx, lz4, rows/10)
	} else {
		lost(ctx, plain, gzip, lz4)
	}
	fmt.Println("done")
}
