//! The official Rust client against a node: `zepto-peer-clickhouse-rs ADDRESS all|lost` (`tests/clients/main.rs` says
//! what they mean).

use std::error::Error as StdError;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::stdin;

use clickhouse::error::Error;
use clickhouse::sql::Identifier;
use clickhouse::{Client, Compression, Row};
use serde::{Deserialize, Serialize};

type Result<T> = std::result::Result<T, Box<dyn StdError>>;

const START: i64 = 1_704_187_800_000_000_001;
const ENDLESS: &str = "SELECT number, sin(number) FROM numbers(100000000000)";

#[derive(Debug, Row, Serialize, Deserialize)]
struct Trade {
    symbol: String,
    ts: i64,
    price: f64,
    volume: i64,
    note: Option<String>,
    tags: Vec<String>,
}

fn row(i: i64) -> Trade {
    let odd = i % 3 == 0;
    Trade {
        symbol: format!("S{}", i % 1_000),
        ts: START + i * 1_000,
        price: i as f64 * 0.25,
        volume: i - 500_000,
        note: odd.then(|| format!("'{i}'\t\\ü")),
        tags: if odd { vec!["a".to_owned(), "ü".to_owned()] } else { Vec::new() },
    }
}

/// Of rows in their order, to compare what was sent with what came back.
#[derive(Debug, Default, PartialEq)]
struct Digest {
    rows: i64,
    sum: u64,
}

impl Digest {
    fn add(&mut self, row: &Trade) {
        let mut hasher = DefaultHasher::new();
        let Trade { symbol, ts, price, volume, note, tags } = row;
        (self.rows, symbol, ts, price.to_bits(), volume, note, tags).hash(&mut hasher);
        self.sum ^= hasher.finish();
        self.rows += 1;
    }
}

async fn whole(client: &Client, rows: i64) -> Result<()> {
    let create = "CREATE TABLE trades (symbol LowCardinality(String), ts DateTime64(9, 'UTC'), price Float64, \
                  volume Int64, note Nullable(String), tags Array(String)) ENGINE = MergeTree ORDER BY (symbol, ts)";
    client.query(create).execute().await?;
    let mut sent = Digest::default();
    let mut insert = client.insert::<Trade>("trades").await?;
    for i in 0..rows {
        let row = row(i);
        sent.add(&row);
        insert.write(&row).await?;
    }
    insert.end().await?;
    selects(client, rows).await?;
    let mut back = Digest::default();
    let mut cursor = client.query("SELECT ?fields FROM trades ORDER BY ts").fetch::<Trade>()?;
    while let Some(row) = cursor.next().await? {
        back.add(&row);
    }
    assert_eq!(back, sent);
    errors(client).await?;
    client.query("DROP TABLE trades").execute().await?;
    Ok(())
}

async fn selects(client: &Client, rows: i64) -> Result<()> {
    let sums = "SELECT count(), sum(volume), sum(price), count(note) FROM trades";
    let found: (u64, i64, f64, u64) = client.query(sums).fetch_one().await?;
    let pairs = rows * (rows - 1);
    assert_eq!(
        found,
        (rows as u64, pairs / 2 - 500_000 * rows, pairs as f64 / 8.0, (rows as u64).div_ceil(3))
    );

    let in_text = "SELECT count() FROM ? WHERE symbol IN ? AND volume >= ?";
    let query = client.query(in_text).bind(Identifier("trades")).bind(["S1", "S2"]).bind(rows / 2 - 500_000);
    assert_eq!(query.fetch_one::<u64>().await?, rows as u64 / 1_000);
    let apart = "SELECT count() FROM trades WHERE symbol IN {s:Array(String)} AND volume >= {v:Int64}";
    let query = client.query(apart).param("s", vec!["S1", "S2"]).param("v", rows / 2 - 500_000);
    assert_eq!(query.fetch_one::<u64>().await?, rows as u64 / 1_000);
    for text in ["it's", "a\tb", "back\\slash", "ü", "", "line\nbreak", "%s", "?"] {
        assert_eq!(client.query("SELECT {v:String}").param("v", text).fetch_one::<String>().await?, text);
        assert_eq!(client.query("SELECT ?").bind(text).fetch_one::<String>().await?, text);
    }
    let nobody =
        client.query("SELECT ?fields FROM trades WHERE symbol = 'nobody'").fetch_all::<Trade>().await?;
    assert!(nobody.is_empty());
    assert!(
        client.query("SELECT volume FROM trades WHERE volume = -499993").fetch_optional::<i64>().await?.is_some()
    );
    Ok(())
}

async fn errors(client: &Client) -> Result<()> {
    // The last one breaks off in mid-stream.
    for (query, code) in [
        ("SELECT nope AS number FROM trades", 47),
        ("SELECT 1 AS number FROM nowhere", 60),
        ("SELECT nonsense(1) AS number", 46),
        ("SELECT toString(intDiv(1, 1000000 - number)) FROM numbers(2000000)", 153),
    ] {
        match drain::<String>(client, query).await {
            Err(Error::BadResponse(text)) if text.starts_with(&format!("Code: {code}. ")) => {}
            other => return Err(format!("{query}: wanted code {code}, got {other:?}").into()),
        }
    }
    let absent = client.insert::<Trade>("nowhere").await;
    assert!(matches!(absent.err(), Some(Error::BadResponse(text)) if text.starts_with("Code: 60. ")));
    assert_eq!(client.query("SELECT 1").fetch_one::<u8>().await?, 1, "the client goes on");
    Ok(())
}

async fn drain<T: clickhouse::RowOwned + clickhouse::RowRead>(
    client: &Client,
    query: &str,
) -> clickhouse::error::Result<u64> {
    let mut cursor = client.query(query).fetch::<T>()?;
    let mut rows = 0;
    while cursor.next().await?.is_some() {
        rows += 1;
    }
    Ok(rows)
}

async fn lost(clients: &[Client]) -> Result<()> {
    let mut cursors = Vec::new();
    for client in clients {
        let mut cursor = client.query(ENDLESS).fetch::<(u64, f64)>()?;
        cursor.next().await?.ok_or("no row")?;
        cursors.push(cursor);
    }
    println!("reading");
    stdin().read_line(&mut String::new())?;
    for mut cursor in cursors {
        let error = loop {
            match cursor.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Err("a cut answer was taken for a whole one".into()),
                Err(error) => break error,
            }
        };
        println!("lost: {error}");
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let [_, address, what] = words.as_slice() else { return Err("ADDRESS all|lost".into()) };
    let client =
        Client::default().with_url(format!("http://{address}")).with_user("default").with_database("default");
    let plain = client.clone().with_compression(Compression::None);
    match what.as_str() {
        "all" => {
            whole(&client, 1_000_000).await?;
            whole(&plain, 100_000).await?;
        }
        _ => lost(&[client, plain]).await?,
    }
    println!("done");
    Ok(())
}
