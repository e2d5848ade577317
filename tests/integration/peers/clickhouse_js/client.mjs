// The official Node client against a node: node client.mjs ADDRESS all|lost (`tests/clients/main.rs` says what they mean).
// Run from a folder whose node_modules hold what package-lock.json pins.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { once } from "node:events";
import { Readable } from "node:stream";

const { ClickHouseError, ClickHouseLogLevel, createClient } = createRequire(`${process.cwd()}/`)("@clickhouse/client");

/** Compressed it is fewer: the client hands each row to zlib on its own. */
let ROWS = 1_000_000;
const START = Date.UTC(2024, 0, 2, 9, 30) / 1000;

const row = (i) => [`S${i % 1000}`, START + i, i * 0.25, i - 500_000, i % 3 ? null : `'${i}'\t\\ü`];

/** A digest of rows in their order, to compare what was sent with what came back. */
function digest() {
  const hash = createHash("md5");
  let rows = 0;
  return { add: (values) => (rows++, hash.update(JSON.stringify(values))), end: () => `${rows} ${hash.digest("hex")}` };
}

async function whole(client) {
  assert((await client.ping()).success && (await client.ping({ select: true })).success);
  await client.command({
    query:
      "CREATE TABLE trades (symbol LowCardinality(String), ts DateTime, price Float64, volume Int64, " +
      "note Nullable(String)) ENGINE = MergeTree ORDER BY (symbol, ts)",
  });
  const sent = digest();
  const rows = function* () {
    for (let i = 0; i < ROWS; i++) {
      const values = row(i);
      sent.add(values);
      yield values;
    }
  };
  const done = await client.insert({ table: "trades", values: Readable.from(rows()), format: "JSONCompactEachRow" });
  assert.equal(done.summary.written_rows, String(ROWS));
  const one = [{ symbol: "ONE", ts: "2024-01-02 09:30:00", price: 1, volume: 1, note: "x" }];
  await client.insert({ table: "trades", values: one, columns: { except: [] }, format: "JSONEachRow" });
  await selects(client);
  await streams(client, sent.end());
  await errors(client);
  await client.command({ query: "DROP TABLE trades" });
}

async function value(client, query, query_params) {
  const [answer] = await (await client.query({ query, query_params, format: "JSONCompactEachRow" })).json();
  return answer;
}

async function selects(client) {
  const price = (ROWS * (ROWS - 1)) / 8 + 1;
  const sums = await value(client, "SELECT count(), sum(volume), sum(price), count(note) FROM trades");
  assert.deepEqual(sums, [ROWS + 1, (ROWS * (ROWS - 1)) / 2 - 500_000 * ROWS + 1, price, Math.ceil(ROWS / 3) + 1]);
  for (const text of ["it's", "a\tb", "back\\slash", "ü", "", "line\nbreak", "{x:String}", "%s"]) {
    assert.deepEqual(await value(client, "SELECT {v:String}", { v: text }), [text]);
  }
  const bound = { s: ["S1", "S2"], t: new Date((START + ROWS / 2) * 1000), table: "trades", none: null };
  const count =
    "SELECT count() FROM {table:Identifier} WHERE symbol IN {s:Array(String)} AND ts >= {t:DateTime} " +
    "AND {none:Nullable(String)} IS NULL";
  assert.deepEqual(await value(client, count, bound), [ROWS / 1000]);
  const result = await client.query({ query: "SELECT 1 AS a, 'x' AS b", format: "JSON" });
  const json = await result.json();
  assert.deepEqual([json.meta[0], json.data, json.rows], [{ name: "a", type: "UInt8" }, [{ a: 1, b: "x" }], 1]);
}

async function streams(client, sent) {
  const query = "SELECT symbol, toUnixTimestamp(ts), price, volume, note FROM trades WHERE symbol != 'ONE' ORDER BY ts";
  const back = digest();
  const result = await client.query({ query, format: "JSONCompactEachRow" });
  for await (const some of result.stream()) for (const one of some) back.add(one.json());
  assert.equal(back.end(), sent);
  const csv = await client.exec({ query: "SELECT number FROM numbers(1000) FORMAT CSV" });
  let bytes = 0;
  for await (const chunk of csv.stream) bytes += chunk.length;
  assert.equal(bytes, 3890);
}

async function fails(what, code, work) {
  const refused = (error) => error instanceof ClickHouseError && error.code === code;
  await assert.rejects(work, refused, `${what} must fail with code ${code} in ClickHouse's own error`);
}

async function errors(client) {
  for (const [query, code] of [
    ["SELECT nope FROM trades", "47"],
    ["SELECT * FROM nowhere", "60"],
    ["SELECT nonsense(1)", "46"],
  ]) {
    await fails(query, code, () => client.query({ query }));
  }
  await fails("an insert of a bad row", "41", () =>
    client.insert({ table: "trades", values: [["S", "no time", 1, 1, null]], format: "JSONCompactEachRow" }),
  );
  const broken = "SELECT toString(intDiv(1, 1000000 - number)) FROM numbers(2000000)";
  // Node throws away what it has not handed on when the connection ends: the text of the error may be among it.
  const told = (error) => error.code === "153" || error.code === "ECONNRESET";
  await assert.rejects(drain(client.query({ query: broken, format: "JSONEachRow" })), told, "an answer that broke off");
  assert.deepEqual(await value(client, "SELECT 1"), [1], "the client goes on");
}

async function drain(answer) {
  for await (const _ of (await answer).stream());
}

async function lost(client) {
  const query = "SELECT number, sin(number) FROM numbers(100000000000)";
  const stream = (await client.query({ query, format: "JSONEachRow" })).stream();
  const rows = stream[Symbol.asyncIterator]();
  await rows.next();
  console.log("reading");
  await once(process.stdin, "data");
  await assert.rejects(
    async () => {
      while (!(await rows.next()).done);
    },
    (error) => (console.log(`lost: ${error.code ?? error.name}`), true),
    "a cut answer was taken for a whole one",
  );
}

const [address, what] = process.argv.slice(2);
for (const compressed of [false, true]) {
  if (compressed) ROWS = 100_000;
  const client = createClient({
    url: `http://${address}`,
    compression: { request: compressed, response: compressed },
    log: { level: ClickHouseLogLevel.OFF },
  });
  if (what === "all") await whole(client);
  else if (!compressed) await lost(client);
  await client.close();
}
console.log("done");
process.exit(0);
