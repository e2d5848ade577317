// The backend of Grafana's ClickHouse data source, as far as it is published as libraries: the official client over
// HTTP with gzip, rows made into data frames by Grafana's own package, long frames made wide as a time series panel
// needs them. The queries are what the data source sends: its macros expanded, its editor's and builder's questions.
// grafana ADDRESS all|lost (`tests/clients/main.rs` says what they mean).
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/data/sqlutil"
)

const (
	hosts  = 100
	points = 1_000_000
	sum    = points / hosts * (points/hosts - 1) / 2 // of one host's values
)

// What the dashboard shows. Each host has a point per 180 ms in it.
var from, to = time.Date(2024, 1, 2, 9, 30, 0, 0, time.UTC), time.Date(2024, 1, 2, 10, 0, 0, 0, time.UTC)

// expand puts in what the data source's macros stand for in this dashboard.
func expand(query string) string {
	return strings.NewReplacer(
		"$__timeFilter(time)", fmt.Sprintf("time >= toDateTime(%d) AND time <= toDateTime(%d)", from.Unix(), to.Unix()),
		"$__timeFilter_ms(time)", fmt.Sprintf("time >= fromUnixTimestamp64Milli(%d) AND time <= fromUnixTimestamp64Milli(%d)", from.UnixMilli(), to.UnixMilli()),
		"$__dateFilter(day)", fmt.Sprintf("day >= toDate('%s') AND day <= toDate('%s')", from.Format(time.DateOnly), to.Format(time.DateOnly)),
		"$__timeInterval(time)", "toStartOfInterval(toDateTime(time), INTERVAL 60 second)",
		"$__timeInterval_ms(time)", "toStartOfInterval(toDateTime64(time, 3), INTERVAL 500 millisecond)",
		"$__interval_s", "60",
	).Replace(query)
}

type source struct {
	ctx context.Context
	db  *sql.DB
}

func open(address string, settings clickhouse.Settings) source {
	return source{context.Background(), clickhouse.OpenDB(&clickhouse.Options{
		Addr: []string{address}, Protocol: clickhouse.HTTP, Settings: settings,
		Auth:        clickhouse.Auth{Database: "default", Username: "default"},
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionGZIP},
		DialTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second,
	})}
}

func (s source) query(query string) (*data.Frame, error) {
	rows, err := s.db.QueryContext(s.ctx, expand(query))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	frame, err := sqlutil.FrameFromRows(rows, -1, converters()...)
	if err != nil {
		return nil, err
	}
	return frame, rows.Err()
}

func (s source) frame(query string, rows int) *data.Frame {
	frame, err := s.query(query)
	ensure(err == nil, "%s: %v", query, err)
	ensure(frame.Rows() == rows, "%s: %d rows, not %d", query, frame.Rows(), rows)
	return frame
}

// series is what a time series panel makes of the answer.
func (s source) series(query string, rows, fields int) *data.Frame {
	long, err := s.query(query)
	ensure(err == nil, "%s: %v", query, err)
	wide := long
	if long.TimeSeriesSchema().Type == data.TimeSeriesTypeLong {
		wide, err = data.LongToWide(long, &data.FillMissing{Mode: data.FillModeNull})
	}
	ensure(err == nil && wide.TimeSeriesSchema().Type == data.TimeSeriesTypeWide, "%s: %v", query, err)
	ensure(wide.Rows() == rows && len(wide.Fields) == fields, "%s: %d rows, %d fields", query, wide.Rows(), len(wide.Fields))
	return wide
}

// health is what "Save & test" does.
func health(s source) {
	check(s.db.PingContext(s.ctx))
	one := s.frame("SELECT 1", 1)
	ensure(len(one.Fields) == 1 && one.Fields[0].Name == "1", "the column of SELECT 1 is %s", one.Fields[0].Name)
	ensure(s.frame("SELECT version()", 1).Fields[0].Type() == data.FieldTypeString, "the version is no text")
}

func tables(s source) {
	exec(s, `CREATE TABLE points (time DateTime64(3, 'UTC'), day Date, host LowCardinality(String), value Float64,
		load Nullable(Float64), requests UInt64) ENGINE = MergeTree ORDER BY (host, time)`)
	exec(s, fmt.Sprintf(`INSERT INTO points SELECT fromUnixTimestamp64Milli(%d + 180 * intDiv(number, %d)), '2024-01-02',
		concat('host', toString(number %% %d)), intDiv(number, %d), if(number %% 2 = 0, 1.5, NULL), number
		FROM numbers(%d)`, from.UnixMilli(), hosts, hosts, hosts, points))
	exec(s, `CREATE TABLE logs (time DateTime64(9, 'UTC'), level LowCardinality(String), message String,
		attributes Map(String, String), cost Decimal(18, 4), sizes Array(Int64)) ENGINE = MergeTree ORDER BY time`)
	exec(s, `INSERT INTO logs VALUES ('2024-01-02 09:31:00.5', 'error', 'it\'s broken', {'pid': '7'}, 1.25, [1, 2]),
		('2024-01-02 09:32:00', 'info', 'mended', {}, 0, [])`)
}

func exec(s source, query string) {
	_, err := s.db.ExecContext(s.ctx, query)
	ensure(err == nil, "%s: %v", query, err)
}

// editor is what its lists of databases, tables, columns, values and functions come from.
func editor(s source) {
	ensure(find(s, "SHOW DATABASES", "default"), "no database default")
	ensure(find(s, `SHOW TABLES FROM "default"`, "points"), "no table points")
	ensure(len(s.frame(`DESC TABLE "default"."points"`, 6).Fields) == 7, "DESC has other than 7 columns")
	s.frame("SELECT name, type, table FROM system.columns WHERE database IN ('default') AND table = 'points'", 6)
	s.frame(`SELECT DISTINCT "host" FROM "default"."points" WHERE "host" IS NOT NULL LIMIT 1000`, hosts)
	ensure(find(s, "SELECT name, is_aggregate, case_insensitive, alias_to, origin, description, syntax, arguments, returned_value, examples, categories FROM system.functions LIMIT 10000", "avg"), "no function avg")
}

func find(s source, query, wanted string) bool {
	frame, err := s.query(query)
	ensure(err == nil, "%s: %v", query, err)
	for row := range frame.Rows() {
		if text, known := frame.Fields[0].ConcreteAt(row); known && text == wanted {
			return true
		}
	}
	return false
}

// panels are what the builder and its macros make.
func panels(s source) {
	wide := s.series(`SELECT $__timeInterval(time) as "time", host, avg(value) as v FROM "default"."points" WHERE ( time >= toDateTime(1704187800) AND time <= toDateTime(1704189600) ) AND ( host IN ('host1','host2') ) GROUP BY time, host ORDER BY time ASC LIMIT 1000`, 30, 3)
	ensure(wide.Fields[1].Labels["host"] == "host1", "labels %v", wide.Fields[1].Labels)
	// The first minute of a host: its points 0 to 333.
	first, _ := wide.Fields[1].FloatAt(0)
	ensure(first == 333.0/2, "the mean of the first minute is %v", first)
	s.series("SELECT $__timeInterval_ms(time) AS t, max(value) FROM points WHERE $__timeFilter_ms(time) AND host = 'host3' GROUP BY t ORDER BY t", 3_600, 2)
	s.frame("SELECT count() FROM points WHERE $__dateFilter(day) AND $__timeFilter(time)", 1)
	s.series("SELECT $__timeInterval(time) AS t, count() / $__interval_s AS rate FROM points WHERE $__timeFilter(time) GROUP BY t ORDER BY t", 30, 2)
	rates := s.series(`SELECT t, key, if((t - lagInFrame(t, 1, t) OVER w) = 0, nan, (v - lagInFrame(v, 1, v) OVER w) / (t - lagInFrame(t, 1, t) OVER w)) AS rate
		FROM (SELECT $__timeInterval(time) AS t, toString(host) AS key, max(requests) AS v FROM points WHERE $__timeFilter(time) GROUP BY t, key ORDER BY t, key)
		WINDOW w AS (PARTITION BY key ORDER BY t ASC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY t, key`, 30, hosts+1)
	rate, _ := rates.Fields[1].FloatAt(2)
	ensure(rate > 500 && rate < 600, "%v requests a second", rate)
	s.frame("SELECT point.1 AS x, point.2 AS y FROM (SELECT arrayJoin(lttb(50)(time, value)) AS point FROM points WHERE host = 'host4') ORDER BY x", 50)
	null := s.frame("SELECT time, load FROM points WHERE host = 'host1' ORDER BY time LIMIT 3", 3)
	ensure(null.Fields[1].NilAt(0), "a NULL became %v", null.Fields[1].At(0))
	filtered := s.frame("SELECT host, count() AS c FROM points GROUP BY host settings additional_table_filters={'points': ' host = \\'host7\\' AND value >= 5000 '}", 1)
	ensure(filtered.Fields[1].At(0) == uint64(5_000), "the ad-hoc filter left %v", filtered.Fields[1].At(0))
}

// others: annotations, logs and traces, types that become JSON, and a row limit.
func others(s, limited source) {
	notes := s.frame("SELECT time, message AS text, level AS tags FROM logs WHERE $__timeFilter(time) ORDER BY time", 2)
	ensure(notes.Fields[0].At(0) == from.Add(60_500*time.Millisecond) && notes.Fields[1].At(0) == "it's broken", "annotation %v", notes.Fields[1].At(0))
	lines := s.frame(`SELECT time as "timestamp", message as "body", level as "level", attributes as "labels", cost, sizes FROM "default"."logs" WHERE ( body LIKE '%broken%' ) ORDER BY timestamp DESC LIMIT 1000`, 1)
	labels, sizes := lines.Fields[3].At(0).(json.RawMessage), lines.Fields[5].At(0).(json.RawMessage)
	ensure(string(labels) == `{"pid":"7"}` && string(sizes) == "[1,2]" && lines.Fields[4].At(0) == 1.25, "log line %s %s", labels, sizes)
	s.frame("SELECT multiply(toUnixTimestamp64Nano(time), 0.000001) AS startTime, arrayMap(key -> map('key', key, 'value', attributes[key]), mapKeys(attributes)) AS tags FROM logs", 2)
	limited.frame("SELECT * FROM points ORDER BY time", 1_000)
	for query, code := range map[string]string{"SELECT nope FROM points": "47", "SELECT FROM WHERE": "62", "SELECT * FROM nowhere": "60"} {
		_, err := s.query(query)
		ensure(err != nil && strings.Contains(err.Error(), "[HTTP 4") && strings.Contains(err.Error(), "code: "+code), "%s is no fault of the user: %v", query, err)
	}
	_, err := s.query("SELECT toString(intDiv(1, 1000000 - number)) FROM numbers(2000000)")
	ensure(err != nil && strings.Contains(err.Error(), "153"), "an answer that broke off: %v", err)
}

// million points of a hundred series, as one panel.
func million(s source) {
	wide := s.series("SELECT time, host, value FROM points WHERE $__timeFilter(time) ORDER BY time", points/hosts, hosts+1)
	for _, field := range wide.Fields[1:] {
		total := 0.0
		for row := range wide.Rows() {
			value, err := field.FloatAt(row)
			check(err)
			total += value
		}
		ensure(total == sum, "the values of %v add up to %f", field.Labels, total)
	}
}

func lost(s source) {
	rows := must(s.db.QueryContext(s.ctx, "SELECT number, sin(number) FROM numbers(100000000000)"))
	ensure(rows.Next(), "no row: %v", rows.Err())
	fmt.Println("reading")
	must(bufio.NewReader(os.Stdin).ReadString('\n'))
	_, err := sqlutil.FrameFromRows(rows, -1, converters()...)
	ensure(err != nil, "a cut answer was taken for a whole one")
	fmt.Println("lost:", err)
}

func main() {
	s, limited := open(os.Args[1], nil), open(os.Args[1], clickhouse.Settings{"limit": 1_000})
	if os.Args[2] == "all" {
		health(s)
		tables(s)
		editor(s)
		panels(s)
		others(s, limited)
		million(s)
	} else {
		lost(s)
	}
	fmt.Println("done")
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
