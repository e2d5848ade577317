//! The questions of the playground: each shows something that time series need.

use std::time::Instant;

use zepto_harness::{Connection, Request};

/// A question and its statement.
struct Question {
    text: &'static str,
    sql: &'static str,
}

const QUESTIONS: &[Question] = &[
    Question {
        text: "How late do flights leave, by airport?",
        sql: "SELECT origin, count() AS departures, round(avg(dep_delay), 2) AS mean_delay, max(dep_delay) AS worst\n\
              FROM departures GROUP BY origin ORDER BY origin",
    },
    Question {
        text: "Which were the busiest hours at JFK?",
        sql: "SELECT toStartOfHour(ts) AS hour, count() AS departures, sum(dep_delay) AS minutes_late\n\
              FROM departures WHERE origin = 'JFK' GROUP BY hour ORDER BY departures DESC, hour LIMIT 5",
    },
    Question {
        text: "What is the latest weather at each airport?",
        sql: "SELECT origin, ts, temp, wind_speed, visib FROM weather LATEST ON ts PARTITION BY origin ORDER BY origin",
    },
    Question {
        text: "How did the temperature at JFK open, peak, sink and close on three days of July?",
        sql: "SELECT toStartOfDay(ts) AS day, first(temp, ts) AS open, max(temp) AS high, min(temp) AS low, last(temp, ts) AS close\n\
              FROM weather WHERE origin = 'JFK' AND ts >= '2013-07-01' AND ts < '2013-07-04' GROUP BY day ORDER BY day",
    },
    Question {
        text: "Does wind delay flights? Each departure is joined with the last observation before it.",
        sql: "SELECT d.origin AS origin, count() AS departures,\n       \
              round(avgIf(d.dep_delay, w.wind_speed < 5), 2) AS delay_when_calm,\n       \
              round(avgIf(d.dep_delay, w.wind_speed >= 20), 2) AS delay_when_windy\n\
              FROM departures AS d ASOF LEFT JOIN weather AS w ON d.origin = w.origin AND d.ts >= w.ts\n\
              GROUP BY origin ORDER BY origin",
    },
];

/// Asks all of them and prints the answers; whether all were answered.
pub(super) fn ask_all(connection: &mut Connection) -> bool {
    let mut all = true;
    for question in QUESTIONS {
        println!("{}\n\n{}\n", question.text, question.sql);
        let start = Instant::now();
        let request = Request::new("POST", "/?default_format=PrettyCompact", &[], question.sql.as_bytes());
        match connection.send(&request) {
            Ok(response) if response.status == 200 => {
                let took = start.elapsed().as_secs_f64() * 1e3;
                println!("{}{took:.1} ms\n", response.text());
            }
            Ok(response) => {
                all = false;
                eprintln!("{}: {}", response.status, response.text());
            }
            Err(error) => {
                all = false;
                eprintln!("{error}");
            }
        }
    }
    all
}
