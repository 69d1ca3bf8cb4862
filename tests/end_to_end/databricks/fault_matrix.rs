//! Each switch of the emulator in both modes: everything that was committed is delivered, what is there twice was counted,
//! and how long it takes to get over it is printed.
//!
//! 500 changes a row; 10,000 with `LAKEFEED_FAULT_MATRIX_FULL`.

#![expect(clippy::print_stdout, reason = "the table is for people to read")]

use std::time::{Duration, Instant};

use lakefeed_tests::Host;
use serde_json::{Value, json};

use super::place::{Mode, Place, TABLE, put_many};

/// What it takes until delivery goes on.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    /// Nothing.
    ByItself,
    /// That the fault ends, after `$status` has told of it by this code.
    Cleared(&'static str),
    /// That an operator mends it and resumes; the destination halts with this word.
    Resumed(&'static str),
}

/// A row of the matrix.
struct Fault {
    name: &'static str,
    /// The switch and its setting; none for what is done by other means.
    switch: Option<(&'static str, Value)>,
    /// What happens when half of the changes are stored.
    midway: fn(&mut Place),
    zerobus: Ending,
    sql: Ending,
    /// Whether the service itself writes rows twice, of which no client can know.
    doubles: bool,
}

fn fault(name: &'static str, switch: &'static str, setting: Value) -> Fault {
    Fault {
        name,
        switch: Some((switch, setting)),
        midway: |_| {},
        zerobus: Ending::ByItself,
        sql: Ending::ByItself,
        doubles: false,
    }
}

/// A setting for the surface that batches go to: two requests pass, then so many are hit.
fn some(mode: Mode, times: u64, more: &Value) -> Value {
    let path = if mode == Mode::Zerobus {
        "/insert"
    } else {
        "/statements"
    };
    let mut setting = json!({ "surface": mode.surface(), "path": path, "times": times, "after": 2 });
    for (name, value) in more.as_object().into_iter().flatten() {
        setting[name] = value.clone();
    }
    setting
}

fn refusals(mode: Mode) -> Vec<Fault> {
    let none = json!({});
    let denied = json!({ "privilege": "MODIFY", "object": TABLE });
    vec![
        Fault {
            midway: |place| place.emulator.expire_tokens(),
            switch: None,
            ..fault("tokens expire", "", none.clone())
        },
        Fault {
            midway: |place| place.emulator.expire_tokens(),
            ..fault(
                "tokens live for a second",
                "token-lifetime",
                json!({ "seconds": 1 }),
            )
        },
        Fault {
            midway: |place| place.emulator.expire_tokens(),
            zerobus: Ending::Cleared("TOKEN-006"),
            sql: Ending::Cleared("TOKEN-006"),
            ..fault(
                "token endpoint: 503",
                "server-error",
                json!({ "surface": "token" }),
            )
        },
        fault("401 once", "unauthorized", some(mode, 1, &none)),
        Fault {
            sql: Ending::Resumed("DBX-003"),
            ..fault("403 once", "forbidden", some(mode, 1, &none))
        },
        Fault {
            zerobus: Ending::Resumed("MODIFY"),
            sql: Ending::Resumed("DBX-003"),
            ..fault("MODIFY denied", "denied-grant", denied)
        },
        fault(
            "429 three times",
            "throttled",
            some(mode, 3, &json!({ "retryAfter": 1 })),
        ),
        fault("503 three times", "server-error", some(mode, 3, &none)),
        fault(
            "500 three times",
            "server-error",
            some(mode, 3, &json!({ "status": 500 })),
        ),
        fault("HTML 502 twice", "html", some(mode, 2, &none)),
        Fault {
            zerobus: Ending::Resumed("ZEROBUS-012"),
            ..fault("empty 400", "wrong-workspace", none.clone())
        },
        Fault {
            zerobus: Ending::Resumed("ZEROBUS-013"),
            ..fault("4024", "default-storage", none)
        },
    ]
}

fn breaks(mode: Mode) -> Vec<Fault> {
    let none = json!({});
    let mut all = vec![
        fault(
            "dropped before the commit, twice",
            "drop-before",
            some(mode, 2, &none),
        ),
        fault(
            "dropped after the commit, twice",
            "drop-after",
            some(mode, 2, &none),
        ),
        fault(
            "answer after the deadline",
            "slow",
            some(mode, 1, &json!({ "milliseconds": 8_000 })),
        ),
        fault("answer breaks off, twice", "truncated", some(mode, 2, &none)),
        fault(
            "rows visible 2 s later",
            "visibility-delay",
            json!({ "milliseconds": 2_000 }),
        ),
        Fault {
            doubles: true,
            ..fault(
                "committed twice by the service",
                "duplicate-delivery",
                json!({ "times": 1 }),
            )
        },
        Fault {
            midway: crash,
            switch: None,
            ..fault("workspace killed and back", "", none)
        },
    ];
    if mode == Mode::Sql {
        let race = json!({ "class": "DELTA_CONCURRENT_APPEND", "sqlState": "2D521", "times": 2 });
        all.push(fault("another writer first, twice", "statement-failed", race));
        all.push(Fault {
            midway: |place| place.emulator.stop_warehouse(),
            ..fault(
                "cold start of 2 s",
                "cold-start",
                json!({ "milliseconds": 2_000 }),
            )
        });
    }
    all
}

fn crash(place: &mut Place) {
    place.emulator.kill();
    std::thread::sleep(Duration::from_millis(1_500));
    place.emulator.resume();
}

fn changes() -> usize {
    match std::env::var_os("LAKEFEED_FAULT_MATRIX_FULL") {
        Some(_) => 10_000,
        None => 500,
    }
}

fn count(host: &Host, name: &str) -> u64 {
    let status = host.status("patients");
    status[name]
        .as_f64()
        .unwrap_or_else(|| panic!("no {name}: {status}")) as u64
}

/// A row's figures.
struct Outcome {
    rows: u64,
    patients: u64,
    possible: u64,
    attempts: u64,
    recovered: Duration,
}

fn play(place: &mut Place, host: &Host, number: usize, fault: &Fault) -> Outcome {
    let prefix = format!("f{number:02}");
    let before = ["possibleDuplicates", "messagesDeliveryAttempts"].map(|name| count(host, name));
    if let Some((switch, setting)) = &fault.switch {
        place.emulator.set(switch, setting);
    }
    let ending = if place.mode == Mode::Zerobus {
        fault.zerobus
    } else {
        fault.sql
    };
    let half = changes() / 2;
    put_many(host, &prefix, 0..half);
    (fault.midway)(place);
    put_many(host, &prefix, half..changes());
    let stored = Instant::now();
    let mended = match ending {
        Ending::ByItself => stored,
        Ending::Cleared(code) => {
            place.wait_for_words(host, &[code, "retrying"]);
            place.emulator.clear_all();
            Instant::now()
        }
        Ending::Resumed(word) => {
            let why = place.wait_until_halted(host);
            assert!(why.contains(word), "{}: {why}", fault.name);
            place.emulator.clear_all();
            place.resume(host);
            Instant::now()
        }
    };
    host.wait_until_delivered("patients");
    let recovered = mended.elapsed();
    if let Some((switch, setting)) = &fault.switch {
        let is_left = place.emulator.faults().get(*switch).is_some();
        assert!(
            setting.get("times").is_none() || !is_left,
            "{}: nothing met it as often as it is set",
            fault.name
        );
    }
    place.emulator.clear_all();
    let rows = |what: &str| {
        place.emulator.number(&format!(
            "SELECT count({what}) FROM {TABLE} WHERE id LIKE '{prefix}-%'"
        ))
    };
    Outcome {
        rows: rows("*"),
        patients: rows("DISTINCT id"),
        possible: count(host, "possibleDuplicates") - before[0],
        attempts: count(host, "messagesDeliveryAttempts") - before[1],
        recovered,
    }
}

fn matrix(mode: Mode) {
    let mut place = Place::with(mode, &[("callTimeoutMs", json!(5_000))]);
    let host = place.start();
    let mut faults = refusals(mode);
    faults.extend(breaks(mode));
    let mut table = vec![format!(
        "{:<32} {:>8} {:>8} {:>8} {:>9} {:>9} {:>10}",
        mode.name(),
        "changes",
        "rows",
        "twice",
        "possible",
        "attempts",
        "recovered"
    )];
    println!("{}", table[0]);
    let mut wrong = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        let outcome = play(&mut place, &host, number, fault);
        let wanted = changes() as u64;
        let twice = outcome.rows - outcome.patients;
        table.push(format!(
            "{:<32} {wanted:>8} {:>8} {twice:>8} {:>9} {:>9} {:>8.1} s",
            fault.name,
            outcome.rows,
            outcome.possible,
            outcome.attempts,
            outcome.recovered.as_secs_f64()
        ));
        println!("{}", table[table.len() - 1]);
        if outcome.patients != wanted {
            wrong.push(format!(
                "{}: {} of {wanted} changes are there",
                fault.name, outcome.patients
            ));
        }
        if !fault.doubles && twice > outcome.possible {
            wrong.push(format!(
                "{}: {twice} rows are there twice, {} were counted",
                fault.name, outcome.possible
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "{}", table.join("\n"));
    assert_eq!(count(&host, "deadLetters"), 0);
    place.must_be_clean(&host.log());
}

#[test]
fn each_fault_of_the_ingest_service_is_got_over() {
    matrix(Mode::Zerobus);
}

#[test]
fn each_fault_of_the_warehouse_is_got_over() {
    matrix(Mode::Sql);
}
