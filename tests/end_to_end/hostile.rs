//! Clients that mean harm or know no better, against the whole program.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

use lakefeed_tests::{Client, Host, Site, program};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

/// As many connections as are opened at once.
const CONNECTIONS: usize = 10_000;

/// What one connection may hold of the host's memory, far above what it does.
const BYTES_A_CONNECTION: u64 = 16 * 1024;

fn put(client: &Client, id: &str) -> u16 {
    let path = format!("Patient/{id}");
    client
        .put(&path, &json!({ "resourceType": "Patient", "id": id }))
        .status
}

fn connect(site: &Site) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", site.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// A `PUT` over a connection that stays open, and the status it is answered.
fn put_on(stream: &mut TcpStream, id: &str) -> String {
    let body = json!({ "resourceType": "Patient", "id": id }).to_string();
    let head = format!(
        "PUT /fhir/Patient/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    let mut part = [0; 4096];
    // The answer is the resource, whose last bytes are its id's.
    while !answer.trim_end().ends_with('}') {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "the connection ended after {answer:?}");
        answer.push_str(std::str::from_utf8(&part[..read]).unwrap());
    }
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Connections that each send the beginning of a request and then nothing.
fn half_requests(site: &Site, count: usize) -> Vec<TcpStream> {
    let begin = |_| {
        let mut stream = connect(site);
        // The host may have turned this one away already.
        drop(stream.write_all(b"PUT /fhir/Patient/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-"));
        stream
    };
    (0..count).map(begin).collect()
}

#[test]
fn ten_thousand_connections_cost_little_and_harm_nobody_who_was_there() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let may_open = limit.maximum.unwrap_or(u64::MAX) as usize;
    let count = CONNECTIONS.min(may_open.saturating_sub(200));
    let site = Site::patients();
    let host = site.start();
    let mut there = connect(&site);
    assert_eq!(put_on(&mut there, "p-1"), "HTTP/1.1 201 Created");
    let (before, _) = host.memory();
    let mut held = Vec::new();
    while held.len() < count {
        held.extend(half_requests(&site, 250.min(count - held.len())));
        let id = format!("there-{}", held.len());
        assert_eq!(put_on(&mut there, &id), "HTTP/1.1 201 Created");
    }
    let (_, most) = host.memory();
    let grown = most.saturating_sub(before);
    println!("{count} connections, {} KiB more", grown / 1024);
    assert!(grown < count as u64 * BYTES_A_CONNECTION, "{grown} bytes");
    drop(held);
    let fresh = Client::new(format!("http://127.0.0.1:{}", site.port()));
    lakefeed_tests::wait_for("a new client to be served", || {
        (put(&fresh, "fresh") < 300).then_some(())
    });
}

#[test]
fn a_host_that_was_given_few_open_files_takes_what_it_may() {
    let site = Site::patients();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 128; exec \"$0\" run"]);
    command.arg(program()).current_dir(site.path(""));
    let host = Host::spawn(&site, command);
    host.wait_until_ready();
    let held = half_requests(&site, 400);
    assert_eq!(put(&Client::new(host.base()), "p-1"), 201);
    drop(held);
}

#[test]
fn of_many_clients_that_create_one_id_one_succeeds_and_the_others_are_told() {
    let site = Site::patients();
    let host = site.start();
    let base = host.base();
    let create = |number: usize| {
        let body = json!({ "resourceType": "Patient", "id": "one", "language": format!("l{number}") });
        Client::new(base).post("Patient", &body).status
    };
    let mut answers: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|number| scope.spawn(move || create(number)))
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    answers.sort_unstable();
    assert_eq!(answers[0], 201);
    assert!(answers[1..].iter().all(|status| *status == 409), "{answers:?}");
}

#[test]
fn of_many_clients_that_change_one_version_one_succeeds_and_the_others_are_told() {
    let site = Site::patients();
    let host = site.start();
    let body = json!({ "resourceType": "Patient", "id": "p-1" });
    let created = host.put("Patient/p-1", &body).expect(201);
    let (base, version) = (host.base(), created.header("etag").to_owned());
    let change = || {
        let headers = [("content-type", "application/fhir+json"), ("if-match", &version)];
        let answer = Client::new(base).send(
            reqwest::Method::PUT,
            "/fhir/Patient/p-1",
            &headers,
            body.to_string().into_bytes(),
        );
        answer.status
    };
    let mut answers: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(change)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    answers.sort_unstable();
    assert_eq!(answers[0], 200);
    assert!(answers[1..].iter().all(|status| *status == 412), "{answers:?}");
}

#[test]
fn of_many_clients_that_create_by_one_identifier_one_creates_and_the_others_are_answered_it() {
    let site = Site::patients();
    let host = site.start();
    let base = host.base();
    let create = |number: usize| {
        let body = json!({ "resourceType": "Patient", "gender": if number < 8 { "male" } else { "female" },
            "identifier": [{ "system": "urn:mrn", "value": "1" }] });
        let headers = [
            ("content-type", "application/fhir+json"),
            ("if-none-exist", "identifier=urn:mrn|1"),
        ];
        let body = body.to_string().into_bytes();
        let answer = Client::new(base).send(reqwest::Method::POST, "Patient", &headers, body);
        (answer.status, answer.json()["id"].clone())
    };
    let mut answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|number| scope.spawn(move || create(number)))
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    answers.sort_unstable_by_key(|(status, _)| std::cmp::Reverse(*status));
    assert_eq!(answers[0].0, 201, "{answers:?}");
    assert!(
        answers[1..]
            .iter()
            .all(|(status, id)| *status == 200 && *id == answers[0].1),
        "{answers:?}"
    );
    assert_eq!(
        host.get("Patient?identifier=urn:mrn%7C1").expect(200).json()["total"],
        1
    );
}

#[test]
fn of_many_clients_that_patch_one_resource_all_get_their_word() {
    let site = Site::patients();
    let host = site.start();
    host.put(
        "Patient/p-1",
        &json!({ "resourceType": "Patient", "id": "p-1", "name": [{ "family": "Ash" }] }),
    )
    .expect(201);
    let base = host.base();
    let patch = |number: usize| {
        let headers = [("content-type", "application/json-patch+json")];
        let body = json!([{ "op": "add", "path": "/name/-", "value": { "family": format!("F{number}") } }]);
        let body = body.to_string().into_bytes();
        let answer = Client::new(base).send(reqwest::Method::PATCH, "Patient/p-1", &headers, body);
        answer.expect(200);
    };
    std::thread::scope(|scope| {
        for number in 0..16 {
            scope.spawn(move || patch(number));
        }
    });
    let patient = host.get("Patient/p-1").expect(200).json();
    assert_eq!(patient["name"].as_array().unwrap().len(), 17);
    assert_eq!(host.get("Patient/p-1/_history").expect(200).json()["total"], 17);
}

#[test]
fn a_patch_that_copies_itself_is_refused_and_costs_little() {
    let site = Site::patients();
    let host = site.start();
    host.put(
        "Patient/p-1",
        &json!({ "resourceType": "Patient", "id": "p-1", "name": [{ "family": "Ash" }] }),
    )
    .expect(201);
    let doubling = json!({ "op": "copy", "from": "/name", "path": "/name/-" });
    let patch = Value::Array(vec![doubling; 1000]).to_string().into_bytes();
    let headers = [("content-type", "application/json-patch+json")];
    let before = host.memory().1;
    for _ in 0..10 {
        host.send(reqwest::Method::PATCH, "Patient/p-1", &headers, patch.clone())
            .expect(422);
    }
    let grown = host.memory().1.saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
    assert_eq!(host.get("Patient/p-1/_history").expect(200).json()["total"], 1);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_request_leaves_nothing_behind() {
    let site = Site::patients();
    let host = site.start();
    for _ in 0..50 {
        let mut stream = connect(&site);
        let head = "PUT /fhir/Patient/half HTTP/1.1\r\nHost: 127.0.0.1\r\n\
            Content-Type: application/fhir+json\r\nContent-Length: 1000\r\n\r\n{\"resourceType\":";
        stream.write_all(head.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Whatever it is told, it is told something or let go.
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
    }
    host.get("Patient/half").expect(404);
    assert_eq!(put(&host, "p-1"), 201);
}
