//! The C header and the Rust tables are one layout, and stay what they are.
//!
//! A C program is compiled against `lakefeed_plugin.h` (whose static assertions are checked with it) and prints the size
//! of every struct and the offset of every field; Rust's must be the same, and both must be what `layout.golden` says.
//! A change that is meant is written there with `LAKEFEED_BLESS=1 cargo test -p lakefeed-plugin-api --test layout`.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails with it")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lakefeed_plugin_abi::*;

/// One struct's Rust name, C name, size, and fields with offsets.
struct Layout {
    rust: &'static str,
    c: &'static str,
    size: usize,
    fields: Vec<(&'static str, usize)>,
}

macro_rules! layouts {
    ($($rust:ident = $c:literal { $($field:ident),* })*) => {
        vec![$(Layout {
            rust: stringify!($rust),
            c: $c,
            size: size_of::<$rust>(),
            fields: vec![$((stringify!($field), std::mem::offset_of!($rust, $field))),*],
        }),*]
    };
}

fn layouts() -> Vec<Layout> {
    layouts! {
        AbiStr = "lakefeed_str" { ptr, len }
        AbiBytes = "lakefeed_bytes" { ptr, len, cap, release }
        AbiRefusal = "lakefeed_refusal" { change, row, column, code, message }
        AbiStatus = "lakefeed_status" { size, status, category, retry, retry_after_ms, flags, remote_status, code, message, detail, hint, remote_code, request_id, refused, refused_len, reserved }
        AbiCompletion = "lakefeed_completion" { ctx, done }
        AbiDocument = "lakefeed_document" { size, reserved, json }
        AbiArrowSchema = "struct ArrowSchema" { format, name, metadata, flags, n_children, children, dictionary, release, private_data }
        AbiArrowArray = "struct ArrowArray" { length, null_count, offset, n_buffers, n_children, buffers, children, dictionary, release, private_data }
        AbiHostInfo = "lakefeed_host_info" { size, layout, abi_major, abi_minor, worker_threads, flags, host_version, reserved }
        AbiDescriptor = "lakefeed_descriptor" { magic, size, layout, abi_major, abi_minor, flags, reserved0, name, version, vendor, license, sdk, compiler, target, parameters, get_interface, shutdown, reserved }
        AbiHost = "lakefeed_host" { size, layout, ctx, get_service, reserved }
        AbiInstanceTable = "lakefeed_instance_table" { size, layout, create, destroy, cancel, op_free, reserved }
        AbiBatchMeta = "lakefeed_batch_meta" { size, attempt, source, schema_id, generation, batch_number, first_offset, last_offset, deadline_ms, change_starts, changes, destination, idempotency_key, traceparent, reserved }
        AbiWriterProfile = "lakefeed_writer_profile" { size, max_in_flight, ordering, ack_mode, flags, reserved0, preferred_rows, preferred_bytes, max_bytes, reserved }
        AbiWriteAck = "lakefeed_write_ack" { size, durability, durable_prefix, rows, bytes, remote_id, refused, refused_len, reserved }
        AbiWriterTable = "lakefeed_writer_table" { size, layout, open, write, evolve, close, reserved }
        AbiFlushTable = "lakefeed_flush_table" { size, layout, flush, reserved }
        AbiMergeTable = "lakefeed_merge_table" { size, layout, merge, reserved }
        AbiTableAdminTable = "lakefeed_table_admin_table" { size, layout, describe, apply, create, drop_table, reserved }
        AbiCredentialsTable = "lakefeed_credentials_table" { size, layout, vend, reserved }
        AbiChunk = "lakefeed_chunk" { fence, index, reserved }
        AbiStagerTable = "lakefeed_stager_table" { size, layout, begin, append, finish_chunk, commit, cleanup, reserved }
        AbiSchemaMapperTable = "lakefeed_schema_mapper_table" { size, layout, map, plan, reserved }
        AbiArrowBatch = "lakefeed_arrow_batch" { size, reserved, array, schema }
        AbiCoerceTable = "lakefeed_coerce_table" { size, layout, coerce, reserved }
        AbiCheckTable = "lakefeed_check_table" { size, layout, check, reserved }
        AbiLogRecord = "lakefeed_log_record" { size, level, target, message, fields, traceparent }
        AbiHostLog = "lakefeed_host_log" { size, layout, log, max_level, reserved }
        AbiHostMetrics = "lakefeed_host_metrics" { size, layout, define, record, reserved }
        AbiHostSecrets = "lakefeed_host_secrets" { size, layout, get, reserved }
        AbiHostToken = "lakefeed_host_token" { size, layout, token, invalidate, reserved }
        AbiHostCredentials = "lakefeed_host_credentials" { size, layout, vend, reserved }
        AbiHostAck = "lakefeed_host_ack" { size, layout, ack, reserved }
        AbiHostState = "lakefeed_host_state" { size, layout, get, put, reserved }
    }
}

fn in_rust() -> String {
    let mut text = String::new();
    for layout in layouts() {
        writeln!(text, "{} {}", layout.rust, layout.size).unwrap();
        for (field, offset) in &layout.fields {
            writeln!(text, "{}.{field} {offset}", layout.rust).unwrap();
        }
    }
    text
}

fn in_c(folder: &Path) -> String {
    let mut program = String::from("#include <stdio.h>\n#include \"lakefeed_plugin.h\"\nint main(void) {\n");
    for Layout { rust, c, fields, .. } in layouts() {
        writeln!(program, "printf(\"{rust} %zu\\n\", sizeof({c}));").unwrap();
        for (field, _) in fields {
            writeln!(
                program,
                "printf(\"{rust}.{field} %zu\\n\", offsetof({c}, {field}));"
            )
            .unwrap();
        }
    }
    program.push_str("return 0;\n}\n");
    let source = folder.join("layout.c");
    let binary = folder.join("layout");
    std::fs::write(&source, program).unwrap();
    let include = manifest().join("abi/include");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(include);
    let compiled = cc.arg(&source).arg("-o").arg(&binary).output().unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    String::from_utf8(Command::new(binary).output().unwrap().stdout).unwrap()
}

fn manifest() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_c_header_and_the_rust_tables_are_one_layout() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    assert_eq!(in_c(&folder), in_rust());
}

#[test]
fn no_layout_changes_by_accident() {
    let golden = manifest().join("tests/layout.golden");
    if std::env::var_os("LAKEFEED_BLESS").is_some() {
        std::fs::write(&golden, in_rust()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(golden).unwrap(), in_rust());
}

#[test]
fn every_struct_of_the_header_is_compared() {
    let header = std::fs::read_to_string(manifest().join("abi/include/lakefeed_plugin.h")).unwrap();
    let compared: Vec<&str> = layouts().iter().map(|layout| layout.c).collect();
    for line in header
        .lines()
        .filter(|line| line.starts_with("typedef struct") && line.ends_with('{'))
    {
        let name = line.split_whitespace().nth(2).unwrap();
        assert!(compared.contains(&name), "{name} is not compared");
    }
}

#[test]
fn numbers_and_names_of_the_header_are_those_of_rust() {
    let header = std::fs::read_to_string(manifest().join("abi/include/lakefeed_plugin.h")).unwrap();
    for id in INTERFACES.iter().chain(SERVICES.iter()) {
        assert!(header.contains(&format!("\"{id}\"")), "{id}");
    }
    for category in lakefeed_plugin_api::Category::ALL {
        let name = category.name().replace(['.'], "_").to_uppercase();
        let line = format!("#define LAKEFEED_CATEGORY_{name} {}u", category.number());
        assert!(header.contains(&line), "{line}");
    }
}
