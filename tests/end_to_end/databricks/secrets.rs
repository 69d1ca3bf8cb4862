//! What is nobody's to see: the secret, tokens, and what a remote quotes of patients. Looked for in all that the host logs
//! at its most talkative, and in every answer.

use lakefeed_tests::Host;
use serde_json::json;

use super::place::{Mode, Place, TABLE, in_both_modes, patient, put, put_many};

in_both_modes!(
    nothing_secret_is_logged_or_answered_however_much_goes_wrong,
    what_the_service_quotes_of_a_row_is_kept_with_the_dead_letter_alone,
);

/// The host at its most talkative, libraries included.
fn talkative(place: &Place) -> Host {
    let mut command = place.command(&["run"]);
    command.env("LAKEFEED_LOG", "trace");
    let host = Host::spawn(&place.site, command);
    host.wait_until_ready();
    host
}

/// Every answer that tells of the host's state.
fn answers(place: &Place, host: &Host) {
    for path in [
        "AidboxTopicDestination/patients/$status",
        "AidboxTopicDestination/patients/$dead-letters",
        "AidboxTopicDestination/patients",
        "AidboxTopicDestination",
        "/metrics",
        "/",
        "/health",
    ] {
        place.must_be_clean(&host.get(path).text());
    }
}

fn nothing_secret_is_logged_or_answered_however_much_goes_wrong(mode: Mode) {
    let mut place = Place::new(mode);
    let host = talkative(&place);
    let once = |status: u64| json!({ "surface": mode.surface(), "times": 1, "status": status });
    for (number, (switch, setting)) in [
        ("unauthorized", once(401)),
        ("server-error", once(500)),
        ("html", once(502)),
        ("truncated", once(200)),
        ("drop-after", once(0)),
        ("server-error", json!({ "surface": "token", "times": 1 })),
    ]
    .into_iter()
    .enumerate()
    {
        place.emulator.expire_tokens();
        place.emulator.set(switch, &setting);
        put_many(&host, &format!("s{number}"), 0..3);
        host.wait_until_delivered("patients");
        place.emulator.clear_all();
    }
    place.emulator.kill();
    put(&host, &patient("last"));
    place.wait_for_words(&host, &["no connection"]);
    place.emulator.resume();
    host.wait_until_delivered("patients");
    answers(&place, &host);
    assert_eq!(place.counts().1, 19);
    let log = host.log();
    assert!(log.contains("TRACE"), "the host was to tell all");
    place.must_be_clean(&log);
}

fn what_the_service_quotes_of_a_row_is_kept_with_the_dead_letter_alone(mode: Mode) {
    let place = Place::new(mode);
    let host = talkative(&place);
    put(&host, &patient("a"));
    host.wait_until_delivered("patients");
    // A demand that the running destination does not know of, and that each row violates.
    place.remake(
        "id STRING, ts TIMESTAMP, cts TIMESTAMP, gender STRING, birth_date DATE NOT NULL, family_name STRING, \
         given_name STRING, is_deleted INT",
    );
    let mut without = patient("b");
    without.as_object_mut().unwrap().remove("birthDate");
    put(&host, &without);
    put(&host, &patient("c"));
    lakefeed_tests::wait_for("the refused change to be set aside", || {
        let status = host.status("patients");
        if status["state"] == "halted" {
            place.resume(&host);
        }
        (status["deadLetters"].as_f64() == Some(1.0) && status["messagesQueued"].as_f64() == Some(0.0))
            .then_some(())
    });
    let letters = place.dead_letters(&host);
    assert!(
        letters.contains("birth_date") && letters.contains("Patient/b/"),
        "{letters}"
    );
    answers(&place, &host);
    assert_eq!(
        place
            .emulator
            .rows(&format!("SELECT id FROM {TABLE} ORDER BY id")),
        "c"
    );
    let said = place.status_text(&host);
    let code = if mode == Mode::Zerobus {
        "ZEROBUS-011"
    } else {
        "DBX-022"
    };
    assert!(said.contains(code), "{said}");
}
