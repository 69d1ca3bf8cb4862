//! From JSON bytes to Arrow, for the three views of `benches/views`, beside simd-json's tape of the same bytes.
//!
//!     cargo bench -p lakefeed-view --bench flatten
//!
//! The peer parses every resource whole into its tape and does nothing with it, which is where any engine that reads
//! whole resources would begin. Rounds of both take turns over data that no cache near the core holds. A round is timed
//! lap by lap, and of each lap the best round counts, so that what else the machine does hurts neither. The data is
//! generated and the same in every run. Under `cargo test` one short round shows that it still works.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lakefeed_sample_data::Generator;
use lakefeed_view::{ColumnType, CompileOptions, OutputType, ResourceMeta, RowOptions, View, ViewDefinition};
use serde_json::{Value, json};

/// A view, and how many times the peer's rate it must and should reach.
struct Case {
    name: &'static str,
    definition: &'static str,
    must: f64,
    aim: f64,
}

const CASES: [Case; 3] = [
    Case {
        name: "A patient_flat",
        definition: include_str!("views/a_patient_flat.json"),
        must: 2.0,
        aim: 3.0,
    },
    Case {
        name: "B observation_unnest",
        definition: include_str!("views/b_observation_unnest.json"),
        must: 0.5,
        aim: 0.9,
    },
    Case {
        name: "C patient_wide",
        definition: include_str!("views/c_patient_wide.json"),
        must: 0.7,
        aim: 1.2,
    },
];

/// How many resources a batch takes.
const BATCH: usize = 4096;

/// A resource as a store keeps it: with its version and the time of its last change.
fn stored(number: usize, mut resource: Value) -> String {
    let time = format!(
        "2025-03-{:02}T10:{:02}:30.{:03}Z",
        1 + number % 28,
        number % 60,
        number % 1000
    );
    if let Some(members) = resource.as_object_mut() {
        let meta = members.entry("meta").or_insert_with(|| json!({}));
        meta["versionId"] = json!("1");
        meta["lastUpdated"] = json!(time);
    }
    resource.to_string()
}

/// The types that a lakehouse table holds.
fn table_types(view: &View) -> Vec<ColumnType> {
    let output = |fhir_type: &str| match fhir_type {
        "date" => OutputType::Date32,
        "dateTime" | "instant" => OutputType::TimestampMicros,
        "decimal" => OutputType::Float64,
        other => OutputType::standard(other),
    };
    let column_type = |list, fhir_type: &str| ColumnType {
        output: output(fhir_type),
        list,
    };
    view.columns()
        .iter()
        .map(|column| column_type(column.collection, &column.fhir_type))
        .collect()
}

/// How many resources a lap takes: well under a millisecond.
const LAP: usize = 128;

/// The best time of each lap.
#[derive(Default)]
struct Laps(Vec<Duration>);

impl Laps {
    /// Does something for each of `count` resources, once more.
    fn round(&mut self, count: usize, mut each: impl FnMut(usize)) {
        self.0.resize(count.div_ceil(LAP), Duration::MAX);
        for (lap, best) in self.0.iter_mut().enumerate() {
            let began = Instant::now();
            for number in lap * LAP..count.min((lap + 1) * LAP) {
                each(number);
            }
            *best = began.elapsed().min(*best);
        }
    }

    fn seconds(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64()
    }
}

/// Flattens all resources and answers how many rows they gave.
fn flatten(view: &Arc<View>, resources: &[String], laps: &mut Laps) -> usize {
    let mut rows = view.rows(&table_types(view), RowOptions::default()).unwrap();
    let meta = ResourceMeta::default();
    let mut count = 0;
    laps.round(resources.len(), |number| {
        count += rows.append(resources[number].as_bytes(), &meta).unwrap();
        if number % BATCH == BATCH - 1 || number == resources.len() - 1 {
            black_box(rows.finish().unwrap());
        }
    });
    count
}

/// How much sooner two threads are done than one, at their best.
fn gain_of_two(view: &Arc<View>, resources: &[String], rounds: usize) -> f64 {
    let (one, two) = resources.split_at(resources.len() / 2);
    let (mut alone, mut together) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        let began = Instant::now();
        flatten(view, resources, &mut Laps::default());
        alone = alone.min(began.elapsed());
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| flatten(view, one, &mut Laps::default()));
            flatten(view, two, &mut Laps::default());
        });
        together = together.min(began.elapsed());
    }
    alone.as_secs_f64() / together.as_secs_f64()
}

/// The peer writes into what it reads and wants some bytes behind it.
fn padded(resources: &[String]) -> Vec<(usize, Vec<u8>)> {
    let padded = |resource: &String| {
        let mut bytes = resource.clone().into_bytes();
        bytes.resize(resource.len() + simd_json::INPUT_PADDING, b' ');
        (resource.len(), bytes)
    };
    resources.iter().map(padded).collect()
}

fn parse(resources: &mut [(usize, Vec<u8>)], laps: &mut Laps) {
    let mut buffers = simd_json::Buffers::new(4096);
    let mut resources = resources.iter_mut();
    let mut tape = simd_json::Tape::null();
    laps.round(resources.len(), |_| {
        let (length, bytes) = resources.next().unwrap();
        simd_json::fill_tape_padded(bytes, *length, &mut buffers, &mut tape).unwrap();
        black_box(&tape);
    });
}

fn compiled(case: &Case, fast_steps: bool) -> (Arc<View>, Duration) {
    let options = CompileOptions {
        fast_steps,
        ..CompileOptions::default()
    };
    let began = Instant::now();
    let definition = ViewDefinition::parse(case.definition.as_bytes()).unwrap();
    let view = View::compile(&definition, &options).unwrap();
    (Arc::new(view), began.elapsed())
}

fn measure(case: &Case, resources: &[String], budget: Duration) {
    let ((view, compiling), (general, _)) = (compiled(case, true), compiled(case, false));
    let (mut ours, mut slowly, mut peer) = (Laps::default(), Laps::default(), Laps::default());
    let mut rows = 0;
    let began = Instant::now();
    while rows == 0 || began.elapsed() < budget {
        rows = flatten(&view, resources, &mut ours);
        parse(&mut padded(resources), &mut peer);
        flatten(&general, resources, &mut slowly);
    }
    let gain = gain_of_two(&view, resources, 1 + budget.as_secs() as usize);
    let bytes = resources.iter().map(String::len).sum::<usize>() as f64;
    let count = resources.len() as f64;
    let (ours, slowly, peer) = (ours.seconds(), slowly.seconds(), peer.seconds());
    println!(
        "{:20} {:7.0} resources/s {:5.0} MB/s | simd-json {:5.0} MB/s | ratio {:.2} (must {:.1}, aim {:.1}) | without fast \
         steps {:.2} times the time | two threads {gain:.2} times one | {rows} rows of {count} resources | compiled in \
         {compiling:.1?}",
        case.name,
        count / ours,
        bytes / ours / 1e6,
        bytes / peer / 1e6,
        peer / ours,
        case.must,
        case.aim,
        slowly / ours,
    );
}

/// The most memory that the process held, and what it holds, in MB; zero where the system does not tell.
fn memory() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kilobytes.unwrap_or(0.0) / 1000.0
    };
    (field("VmHWM:"), field("VmRSS:"))
}

/// What the numbers are worth: the commit, the machine and how busy it is.
fn print_circumstances() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").args(arguments).output();
        output.map_or(String::new(), |output| {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        })
    };
    let changes = if git(&["status", "--porcelain"]).is_empty() {
        ""
    } else {
        " with changes"
    };
    let processor = read("/proc/cpuinfo");
    let model = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("commit   {}{changes}", git(&["rev-parse", "--short", "HEAD"]));
    println!(
        "machine  {cores} cores, {}",
        model.unwrap_or_default().trim_start_matches(['\t', ' ', ':'])
    );
    println!("load     {}", read("/proc/loadavg").trim());
}

fn main() {
    // `cargo bench` says so; any other run is a test. A word chooses among the views.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let chosen = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let (budget, count) = if is_bench { (6_000, 8_192) } else { (0, 50) };
    if is_bench {
        print_circumstances();
    }
    let generator = Generator::new(7);
    let texts = |resources: &mut dyn Iterator<Item = Value>| -> Vec<String> {
        resources
            .enumerate()
            .map(|(number, resource)| stored(number, resource))
            .collect()
    };
    let patients = texts(&mut generator.patients(count));
    let observations = texts(&mut generator.observations(count * 3, count));
    for case in &CASES {
        if chosen
            .as_ref()
            .is_none_or(|chosen| case.name.contains(chosen.as_str()))
        {
            let resources = if case.name.starts_with('B') {
                &observations
            } else {
                &patients
            };
            measure(case, resources, Duration::from_millis(budget));
        }
    }
    let (most, now) = memory();
    println!("memory: {most:.0} MB at most with the data and its copies, {now:.0} MB at the end");
}
